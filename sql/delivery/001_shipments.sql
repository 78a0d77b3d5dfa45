-- Shipments, one per order, and their audit trail. No foreign key leads to orders, because they belong to
-- order-svc.
CREATE TABLE shipments (
    id                 uuid PRIMARY KEY,
    order_id           uuid NOT NULL UNIQUE,
    customer_id        text NOT NULL,
    status             text NOT NULL DEFAULT 'PROCESSING' CHECK (status IN ('PROCESSING', 'SHIPPED', 'DELIVERED')),
    tracking_number    text,
    carrier            text,
    correlation_id     text NOT NULL,
    traceparent        text NOT NULL,
    next_transition_at timestamptz, -- when the simulated carrier moves it; NULL: never
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    delivered_at       timestamptz,
    CHECK ((status = 'DELIVERED') = (delivered_at IS NOT NULL)),
    CHECK (status <> 'DELIVERED' OR next_transition_at IS NULL)
);
-- Finds due shipments. It has only those that the simulated carrier still moves.
CREATE INDEX shipments_due_idx ON shipments (next_transition_at) WHERE next_transition_at IS NOT NULL;

-- One row per change of a shipment, written in the same transaction.
CREATE TABLE delivery_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shipment_id     uuid NOT NULL REFERENCES shipments (id),
    order_id        uuid NOT NULL,
    previous_status text,
    status          text NOT NULL,
    description     text NOT NULL,
    tracking_number text,
    carrier         text,
    actor           text NOT NULL,
    request_id      text NOT NULL,
    occurred_at     timestamptz NOT NULL
);
CREATE INDEX delivery_events_order_idx ON delivery_events (order_id, id);
