-- Revoked tokens. They are kept until they would have expired. Readers use written_by to continue after what they
-- have read.
CREATE TABLE revoked_tokens (
    token_id   uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX revoked_tokens_written_by_idx ON revoked_tokens (written_by);
CREATE INDEX revoked_tokens_expires_at_idx ON revoked_tokens (expires_at);

-- The events of revoked tokens. They have an outbox of their own, so that a backlog of orders does not delay them.
CREATE TABLE revocation_outbox (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       uuid NOT NULL,
    group_id       uuid NOT NULL,
    payload        text NOT NULL,
    correlation_id text NOT NULL,
    traceparent    text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);
