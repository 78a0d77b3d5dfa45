-- One row for each customer that was erased and each client that had orders of him. It says when, by whom, and of how many
-- orders, and never who it was. The replacement is random, and stands in the orders.
--
-- delivery-svc learns of an erasure by one event for each order. A queue may lose them, so they are published again.
-- quiet_since says since when none was; told_to is the last order of a repetition that is under way.
CREATE TABLE erasures (
    replacement text COLLATE "C" PRIMARY KEY,
    client_id   text COLLATE "C" NOT NULL,
    actor       text NOT NULL CHECK (length(actor) BETWEEN 1 AND 255),
    orders      bigint NOT NULL CHECK (orders > 0),
    began_at    timestamptz NOT NULL DEFAULT now(),
    erased_at   timestamptz NOT NULL DEFAULT now(), -- the last of the orders
    finished_at timestamptz,                        -- NULL: it runs, or was interrupted
    quiet_since timestamptz NOT NULL DEFAULT now(), -- infinity: it is not told again
    told_to     uuid
);
CREATE INDEX erasures_quiet_idx ON erasures (quiet_since) WHERE quiet_since < 'infinity';
CREATE INDEX erasures_unfinished_idx ON erasures (began_at) WHERE finished_at IS NULL;
