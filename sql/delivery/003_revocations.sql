-- Revoked tokens, as published by order-svc. They are kept until they would have expired. Readers use written_by to
-- continue after what they have read.
CREATE TABLE delivery_revoked_tokens (
    token_id   uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX delivery_revoked_tokens_written_by_idx ON delivery_revoked_tokens (written_by);
CREATE INDEX delivery_revoked_tokens_expires_at_idx ON delivery_revoked_tokens (expires_at);
