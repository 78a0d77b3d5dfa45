-- Both tables in the order in which changes lock them: the other way round, each would wait for the other.
LOCK TABLE shipments, delivery_events;

-- When a shipment is deleted, PostgreSQL looks for rows that still refer to it. The trail has an index on orders, and none on
-- shipments, which would cost each change of a shipment.
ALTER TABLE delivery_events DROP CONSTRAINT IF EXISTS delivery_events_shipment_id_fkey,
    ADD CONSTRAINT delivery_events_order_id_fkey FOREIGN KEY (order_id) REFERENCES shipments (order_id) NOT VALID;

-- What retention deletes is a small part of a large table. Autovacuum waits for a fifth of it by default.
ALTER TABLE shipments SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE delivery_events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
