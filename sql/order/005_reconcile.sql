-- Since when nothing was heard of an order that is on its way. One that is quiet for too long is announced again, its
-- events may be lost; each announcement moves the time on, further the longer the order has not changed.
ALTER TABLE orders ADD COLUMN quiet_since timestamptz NOT NULL DEFAULT now();
CREATE INDEX orders_quiet_idx ON orders (quiet_since) WHERE status <> 'DELIVERED';
-- Whether an event of an order still waits.
CREATE INDEX order_outbox_group_idx ON order_outbox (group_id);
