-- Divides orders and order_items by the month of the id, as an experiment. Constraints and indexes are those of the whole tables, but for
-- what partitions cannot have: references are not unique.
DO $$
DECLARE
    whole text;
    index record;
    month date;
    bound text[];
BEGIN
    DROP INDEX orders_reference_idx;
    FOREACH whole IN ARRAY ARRAY['orders', 'order_items'] LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', whole, whole || '_whole');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (%I)', whole,
                       whole || '_whole', CASE whole WHEN 'orders' THEN 'id' ELSE 'order_id' END);
        FOR index IN SELECT indexdef, indexname FROM pg_indexes WHERE tablename = whole || '_whole' LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', index.indexname, index.indexname || '_whole');
            EXECUTE replace(index.indexdef, whole || '_whole', whole);
        END LOOP;
        FOR n IN 0 .. :months + 1 LOOP
            bound := '{}';
            FOR i IN 0 .. 1 LOOP
                month := date_trunc('month', now()) - make_interval(months => :months - n - i);
                bound := bound || (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || repeat('0', 20));
            END LOOP;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', whole || '_' || n, whole,
                           CASE n WHEN 0 THEN '00000000000000000000000000000000' ELSE bound[1] END, bound[2]);
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', whole, whole || '_whole');
    END LOOP;
    DROP TABLE order_items_whole, orders_whole;
END
$$;
