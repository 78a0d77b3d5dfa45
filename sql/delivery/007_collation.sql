-- Text that PostgreSQL indexes is ordered by its bytes. The order of a language comes from the operating system, and an
-- upgrade of glibc changes it under the indexes: keys are then not found, and taken twice.
-- The indexes are built anew while nobody can use the table, for about 7 s per million rows. So tables of more than
-- 100,000 rows (less than a second) are left to the operator, see docs/OPERATIONS.md.
DO $$
DECLARE
    name    text;
    changes text;
    small   boolean;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'delivery_migrations', 'delivery_revoked_tokens', 'delivery_revoked_clients'
    ] LOOP
        SELECT string_agg(format('ALTER COLUMN %I TYPE text COLLATE "C"', attname), ', ')
          INTO changes
          FROM pg_attribute
         WHERE attrelid = to_regclass(name) AND atttypid = 'text'::regtype AND attcollation <> '"C"'::regcollation
           AND EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND attnum = ANY (indkey));
        CONTINUE WHEN changes IS NULL;
        EXECUTE format('SELECT count(*) <= 100000 FROM (SELECT FROM %I LIMIT 100001) AS sample', name) INTO small;
        IF small THEN
            EXECUTE format('ALTER TABLE %I %s', name, changes);
        END IF;
    END LOOP;
END
$$;
