-- One row per client and Idempotency-Key (or fingerprint). Whoever inserts it first creates the order. The answer
-- to a replay is made from the order that the row refers to.
CREATE TABLE idempotency_keys (
    client_id   text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    order_id    uuid NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (client_id, key)
);
CREATE INDEX idempotency_keys_expiry_idx ON idempotency_keys (expires_at);
