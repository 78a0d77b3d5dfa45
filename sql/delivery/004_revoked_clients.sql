-- All tokens of a client that were issued before some time, as published by order-svc. They are kept until they would
-- have expired.
CREATE TABLE delivery_revoked_clients (
    client_id     text PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 255),
    issued_before timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    written_by    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX delivery_revoked_clients_written_by_idx ON delivery_revoked_clients (written_by);

-- Whose token it is and when it was issued, so that the row can go when its client's tokens of that time are ended.
ALTER TABLE delivery_revoked_tokens
    ADD COLUMN client_id text,
    ADD COLUMN issued_at timestamptz;
CREATE INDEX delivery_revoked_tokens_client_idx ON delivery_revoked_tokens (client_id, issued_at);
