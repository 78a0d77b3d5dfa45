-- Events leave the feed an hour before they are dropped. A reader that has compared its position with the floor may then read
-- the next page: it is not dropped meanwhile, so nothing is missed without a word.
CREATE OR REPLACE FUNCTION order_events_partitions(keep interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
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
    PERFORM set_config('lock_timeout', '50ms', true);
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'order_events'::regclass
           AND c.relname < to_char(now() - keep, '"order_events_"YYYYMMDD')
         ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('UPDATE order_event_floor f SET epoch = e.epoch, xid = e.xid, n = e.n
                              FROM (SELECT epoch, xid, n FROM %I ORDER BY epoch DESC, xid DESC, n DESC LIMIT 1) e
                             WHERE (e.epoch, e.xid, e.n) > (f.epoch, f.xid, f.n)', part);
            IF part < to_char(now() - keep - interval '1 hour', '"order_events_"YYYYMMDD') THEN
                EXECUTE format('DROP TABLE %I', part);
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            RETURN; -- the next time
        END;
    END LOOP;
END
$$;
