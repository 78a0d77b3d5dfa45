-- no-transaction
-- The indexes of the columns of 013_order_fields. Everybody can read and write while they are built. None of them has a row
-- of an order that was just made without a reference, so such an order costs what it did.

-- A reference is unique for its client. The reference comes first, so the index also finds one of any client.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS orders_reference_idx ON orders (reference, client_id) WHERE reference IS NOT NULL;
-- For GET /orders?updated_since=. An order that never changed is found by its id, which begins with the time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_changed_client_idx ON orders (client_id, updated_at, id) WHERE version > 1;
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_changed_idx ON orders (updated_at, id) WHERE version > 1;
