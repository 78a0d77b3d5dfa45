-- The shipments of all stored orders, delivered, with their audit trail.
SET session_replication_role = replica;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';

INSERT INTO shipments (id, order_id, customer_id, status, tracking_number, carrier, correlation_id, traceparent,
                       created_at, updated_at, delivered_at)
SELECT (left(id::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, id, customer_id, status, tracking_number,
       carrier, gen_random_uuid(), '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01', created_at, updated_at,
       updated_at
  FROM orders ORDER BY id;

INSERT INTO delivery_events (shipment_id, order_id, previous_status, status, description, tracking_number, carrier, actor,
                             request_id, occurred_at)
SELECT s.id, order_id, previous, e.status, description, tracking_number, carrier, 'carrier', correlation_id, created_at
  FROM shipments s, (VALUES (NULL, 'PROCESSING', 'Shipment created'), ('PROCESSING', 'SHIPPED', 'Shipment shipped'),
                            ('SHIPPED', 'DELIVERED', 'Shipment delivered')) AS e(previous, status, description)
