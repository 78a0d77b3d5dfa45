-- The indexes of the columns of 013_order_fields, in a transaction of their own: nobody can write into the table while they
-- are built, but everybody can read. docs/OPERATIONS.md says how to build them before that. None of them has a row of an
-- order that was just made without a reference, so such an order costs what it did.

-- A reference is unique for its client. The reference comes first, so the index also finds one of any client.
CREATE UNIQUE INDEX IF NOT EXISTS orders_reference_idx ON orders (reference, client_id) WHERE reference IS NOT NULL;
-- For GET /orders?updated_since=. An order that never changed is found by its id, which begins with the time.
CREATE INDEX IF NOT EXISTS orders_changed_client_idx ON orders (client_id, updated_at, id) WHERE version > 1;
CREATE INDEX IF NOT EXISTS orders_changed_idx ON orders (updated_at, id) WHERE version > 1;
