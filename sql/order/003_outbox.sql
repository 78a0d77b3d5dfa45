-- Events to publish. They are written in the transaction of the change they describe.
-- They are deleted once the queue has them.
CREATE TABLE order_outbox (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       uuid NOT NULL,
    group_id       uuid NOT NULL,
    payload        text NOT NULL,
    correlation_id text NOT NULL,
    traceparent    text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);
