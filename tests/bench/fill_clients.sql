-- The same as fill.sql, of many clients. Half of the orders are of demo-client. The oldest fifth is of 20 clients that have ordered nothing since, the rest of
-- 1,000 shops. One order in eleven is of customer-guest, whom all clients have. The others have a customer each.
SET session_replication_role = replica;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';

INSERT INTO orders (id, client_id, customer_id, status, total_amount, tracking_number, carrier, version, created_at,
                    updated_at, quiet_since)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid,
       CASE WHEN n % 2 = 0 THEN 'demo-client' WHEN n <= :count / 5 THEN 'closed-' || n / 2 % 20 ELSE 'shop-' || n / 2 % 1000 END,
       'customer-' || CASE WHEN n / 2 % 11 = 3 THEN 'guest' ELSE gen_random_uuid()::text END,
       'DELIVERED', 1059.97, 'TRK' || n, 'Carrier', 3, at, at, at
  FROM (SELECT n, now() - (:count - n) * interval '1 ms' AS at FROM generate_series(1, :count) n) o;

INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)
SELECT id, position, product_id, quantity, unit_price
  FROM orders, (VALUES (1, 'laptop-001', 1, 999.99), (2, 'mouse-001', 2, 29.99)) AS i(position, product_id, quantity, unit_price);

INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, expires_at)
SELECT client_id, 'k:' || gen_random_uuid(), sha256(customer_id::bytea), id, created_at + interval '1 day' FROM orders ORDER BY 2
