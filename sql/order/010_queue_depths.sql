-- How many messages wait in the queues that order-svc consumes. One replica counts them every 15 s, and all of them show
-- the numbers in their metrics.
CREATE TABLE order_queue_depths (
    queue        text COLLATE "C" PRIMARY KEY,
    claimed_at   timestamptz NOT NULL DEFAULT now(), -- by the replica that counts
    counted_at   timestamptz,
    visible      bigint,
    hidden       bigint,
    delayed      bigint,
    dead_letters bigint
);
