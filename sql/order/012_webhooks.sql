-- Webhooks: whom clients want told of their orders' events, and what is to be told.
CREATE TABLE webhooks (
    id               uuid PRIMARY KEY,
    client_id        text COLLATE "C" NOT NULL,
    url              text NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    description      text CHECK (length(description) BETWEEN 1 AND 255),
    events           text, -- types, separated by blanks; NULL: all
    enabled          boolean NOT NULL,
    reason           text, -- why we disabled it; NULL: we did not
    secret           text NOT NULL, -- sealed (AES-256-GCM), in base64url
    old_secret       text, -- of before the last rotation
    old_secret_until timestamptz,
    from_epoch       bigint NOT NULL, -- it gets the events of later transactions
    from_xid         bigint NOT NULL,
    doubt            integer NOT NULL DEFAULT 1, -- 0: the receiver was well lately; grows while it is not
    not_before       timestamptz NOT NULL DEFAULT '-infinity', -- nothing is sent until then
    resumed_at       timestamptz, -- what waits since before then becomes due, page by page; NULL: all is
    deleted_at       timestamptz, -- the row goes when its deliveries are gone
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_client_idx ON webhooks (client_id, id) WHERE deleted_at IS NULL;

-- One row per event and webhook. Deliveries of one webhook and order are a lane: they are sent in the order of seq, one at
-- a time. The text that is sent is kept, so it is the same with each attempt, however long the feed is kept.
CREATE TABLE webhook_deliveries (
    id           uuid PRIMARY KEY,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    webhook_id   uuid NOT NULL,
    order_id     uuid, -- NULL: of a ping, which is in no lane
    event_id     text COLLATE "C",
    type         text COLLATE "C" NOT NULL,
    body         text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0, -- that were begun
    failures     integer NOT NULL DEFAULT 0, -- since it was new or resumed: the place in the schedule
    next_at      timestamptz DEFAULT now(),  -- NULL: delivered
    lease_until  timestamptz,                -- somebody is sending it
    last_at      timestamptz,
    last_status  integer,
    last_error   text,
    last_answer  text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_list_idx ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_lane_idx ON webhook_deliveries (webhook_id, order_id, seq) WHERE next_at IS NOT NULL;

-- The events up to this position have their deliveries. Whoever holds the row's lock makes the next ones.
CREATE TABLE webhook_feed (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint NOT NULL,
    xid      bigint NOT NULL,
    n        integer NOT NULL
);
INSERT INTO webhook_feed (epoch, xid, n) VALUES (0, 0, 0);
