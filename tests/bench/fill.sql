-- :count delivered orders of demo-client, as if they had come one each :step, the last one :age ago. Those of the last day have
-- their keys. Foreign keys are not checked on the way.
SET session_replication_role = replica;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';

INSERT INTO orders (id, client_id, customer_id, status, total_amount, tracking_number, carrier, version, created_at,
                    updated_at, quiet_since)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid,
       'demo-client', 'customer-' || gen_random_uuid(), 'DELIVERED', 1059.97, 'TRK' || n, 'Carrier', 3, at, at, at
  FROM (SELECT n, now() - interval ':age' - (:count - n) * interval ':step' AS at FROM generate_series(1, :count) n) o;

INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)
SELECT id, position, product_id, quantity, unit_price
  FROM orders, (VALUES (1, 'laptop-001', 1, 999.99), (2, 'mouse-001', 2, 29.99)) AS i(position, product_id, quantity, unit_price);

INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, expires_at)
SELECT client_id, 'k:' || gen_random_uuid(), sha256(customer_id::bytea), id, created_at + interval '1 day'
  FROM orders WHERE created_at > now() - interval ':age' - interval '1 day' ORDER BY 2
