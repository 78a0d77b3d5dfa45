-- All tokens of a client that were issued before some time. One row ends any number of tokens. It is kept until they
-- would have expired.
CREATE TABLE revoked_clients (
    client_id     text PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 255),
    issued_before timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    written_by    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    revoked_at    timestamptz NOT NULL DEFAULT now(),
    quiet_since   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revoked_clients_written_by_idx ON revoked_clients (written_by);
CREATE INDEX revoked_clients_quiet_idx ON revoked_clients (quiet_since);

-- Whose token it is and when it was issued, so that the row can go when its client's tokens of that time are ended.
-- Both tables are published again, because the queue may have lost their events. Each time, quiet_since moves on.
ALTER TABLE revoked_tokens
    ADD COLUMN client_id   text,
    ADD COLUMN issued_at   timestamptz,
    ADD COLUMN revoked_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN quiet_since timestamptz NOT NULL DEFAULT now();
CREATE INDEX revoked_tokens_client_idx ON revoked_tokens (client_id, issued_at);
CREATE INDEX revoked_tokens_quiet_idx ON revoked_tokens (quiet_since);
-- Finds out whether an event still waits.
CREATE INDEX revocation_outbox_group_idx ON revocation_outbox (group_id);

-- The secret before the last rotation, which is valid for some time.
ALTER TABLE clients
    ADD COLUMN old_secret_hash  bytea CHECK (length(old_secret_hash) = 32),
    ADD COLUMN old_secret_until timestamptz;
