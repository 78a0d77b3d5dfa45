-- no-transaction
-- Another index has the customer, the client and the id. As customers come at random, this one cost a new order more than any
-- other index.
DROP INDEX CONCURRENTLY IF EXISTS orders_customer_idx;
