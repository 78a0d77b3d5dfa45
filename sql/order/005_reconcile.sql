-- Since when an order on its way has had no status update. A silent order is published again, because its events
-- may be lost. Each time, quiet_since moves on: the longer the order has not changed, the further.
ALTER TABLE orders ADD COLUMN quiet_since timestamptz NOT NULL DEFAULT now();
CREATE INDEX orders_quiet_idx ON orders (quiet_since) WHERE status <> 'DELIVERED';
-- Finds out whether an event of an order still waits.
CREATE INDEX order_outbox_group_idx ON order_outbox (group_id);
