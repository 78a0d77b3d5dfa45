-- no-transaction
-- The statements that erase a customer find what belongs to an order by its id.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_keys_order_idx ON idempotency_keys (order_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_deliveries_order_idx ON webhook_deliveries (order_id);
