-- no-transaction
-- For GET /orders?customer_id= of one client. Other clients may have a customer of the same name ("guest"), with any
-- number of orders. The index on the customer alone is for the scope order:read:all.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer_client_idx ON orders (customer_id, client_id, id);
