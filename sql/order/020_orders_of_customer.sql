-- no-transaction
-- orders_customer_client_idx finds the orders of a customer, too. As customers come at random, this index cost a new order more than
-- any other one.
DROP INDEX CONCURRENTLY IF EXISTS orders_customer_idx;
