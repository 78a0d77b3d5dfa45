-- Keeps out nobody, as it is a transaction of its own.
ALTER TABLE delivery_events VALIDATE CONSTRAINT delivery_events_order_id_fkey;
