-- Shipments whose tracking number or carrier was corrected after they had left. Such an event may be lost, and no later
-- event tells of it. So it is published again after a while. quiet_since says since when nothing was published.
CREATE TABLE delivery_corrections (
    order_id     uuid PRIMARY KEY REFERENCES shipments (order_id) ON DELETE CASCADE,
    corrected_at timestamptz NOT NULL DEFAULT now(),
    quiet_since  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX delivery_corrections_quiet_idx ON delivery_corrections (quiet_since);
