-- The history of the orders, which is also the feed of events. Each change of an order writes one row, in the transaction
-- of the change. Rows are never changed. They leave with their partition, a day at a time.
--
-- The position of an event is (epoch, xid, n): the run of the server that wrote it, its transaction, and its number in
-- there. Readers only see positions below the oldest transaction that still runs. So nothing ever appears behind a
-- position that somebody has seen, although transactions commit in any order.
--
-- The history has nothing that identifies a customer. Readers take that from the order, where it can be erased.

-- An epoch is one run of one server. A restart, a failover and a restore begin a new one, because a server that lost
-- transactions gives their numbers away again. Its number is the time at which it began, in seconds since 1970.
CREATE TABLE order_event_epochs (
    epoch          bigint PRIMARY KEY,
    server_started timestamptz NOT NULL UNIQUE
);

CREATE FUNCTION order_event_epoch() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    current bigint;
BEGIN
    LOOP
        SELECT epoch INTO current FROM order_event_epochs WHERE server_started = pg_postmaster_start_time();
        IF FOUND THEN
            RETURN current;
        END IF;
        INSERT INTO order_event_epochs (epoch, server_started)
        SELECT greatest(max(epoch) + 1, extract(epoch FROM clock_timestamp())::bigint), pg_postmaster_start_time()
          FROM order_event_epochs
            ON CONFLICT DO NOTHING; -- another transaction was faster
    END LOOP;
END
$$;

CREATE TABLE order_events (
    epoch           bigint NOT NULL,
    xid             bigint NOT NULL,
    n               integer NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT now(), -- on the database's clock
    occurred_at     timestamptz NOT NULL,
    order_id        uuid NOT NULL,
    client_id       text COLLATE "C" NOT NULL,
    type            text COLLATE "C" NOT NULL,
    previous_status text COLLATE "C",
    status          text COLLATE "C" NOT NULL,
    actor           text COLLATE "C", -- NULL: the client
    request_id      text COLLATE "C" NOT NULL,
    trace_id        text COLLATE "C",
    data            text COLLATE "C" -- a JSON object; NULL: what the order has
) PARTITION BY RANGE (recorded_at);
CREATE INDEX order_events_position_idx ON order_events (epoch, xid, n); -- unique by its making; to check that would cost
CREATE INDEX order_events_client_idx ON order_events (client_id, epoch, xid, n);
CREATE INDEX order_events_order_idx ON order_events (order_id);

CREATE FUNCTION order_events_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of orders cannot be changed';
END
$$;
CREATE TRIGGER order_events_are_final BEFORE UPDATE OR DELETE ON order_events
    FOR EACH ROW EXECUTE FUNCTION order_events_are_final();
CREATE TRIGGER order_events_stay BEFORE TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION order_events_are_final();

-- The last position that has left with its partition. A reader that is behind it has missed events.
CREATE TABLE order_event_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint NOT NULL,
    xid      bigint NOT NULL,
    n        integer NOT NULL
);
INSERT INTO order_event_floor (epoch, xid, n) VALUES (0, 0, 0);

-- Makes the partitions of the next days, and drops those whose events are all older than keep. The daemon's role does not
-- own the tables, so the function runs as their owner. A day is not dropped before it is over.
CREATE FUNCTION order_events_partitions(keep interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    part  text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('order_events_partitions', 0)) THEN
        RETURN; -- another replica is at it
    END IF;
    FOR day IN -1 .. 7 LOOP
        part := to_char(today + day, '"order_events_"YYYYMMDD');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        -- To attach a table does not stop those who read and write the others. To create it as a partition would.
        EXECUTE format('CREATE TABLE %I (LIKE order_events INCLUDING ALL)', part);
        EXECUTE format('CREATE TRIGGER order_events_stay BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION order_events_are_final()', part);
        EXECUTE format('ALTER TABLE order_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       part, today + day, today + day + 1);
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'order_events'::regclass
           AND c.relname < to_char(now() - keep, '"order_events_"YYYYMMDD')
         ORDER BY c.relname
    LOOP
        EXECUTE format('UPDATE order_event_floor f SET epoch = e.epoch, xid = e.xid, n = e.n
                          FROM (SELECT epoch, xid, n FROM %I ORDER BY epoch DESC, xid DESC, n DESC LIMIT 1) e
                         WHERE (e.epoch, e.xid, e.n) > (f.epoch, f.xid, f.n)', part);
        EXECUTE format('DROP TABLE %I', part);
    END LOOP;
END
$$;
SELECT order_events_partitions(interval '100 years');
