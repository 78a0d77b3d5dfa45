-- no-transaction
-- Cancelled orders stay, and those of one client were looked for among those of all. An order costs one entry more when it is
-- cancelled. Everybody can read and write while the index is built.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_cancelled_idx ON orders (client_id, id) WHERE status = 'CANCELLED';
