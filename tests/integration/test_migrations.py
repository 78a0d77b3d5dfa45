"""Migrations let others read and write: none of them looks at each row of a table, or writes it anew, while it locks it."""

import concurrent.futures
import contextlib
import pathlib

import psycopg
import pytest
from harness import ROOT, System, eventually

ROWS = 2000
FIRST = {"order": "009", "delivery": "008"}  # earlier ones made the tables, or are documented to lock them
FILL = {"order": f"""
    INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at, quiet_since)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'c', 'c', 'DELIVERED', 1, 3, now(), now(), now()
      FROM generate_series(1, {ROWS}) n;
    INSERT INTO order_items SELECT id, 1, 'p', 1, 1 FROM orders;
    INSERT INTO idempotency_keys SELECT 'c', id::text, '\\x00', id, now() + interval '1 day' FROM orders;
    INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
    SELECT id, id, '{{}}', '', '' FROM orders""", "delivery": f"""
    INSERT INTO shipments (id, order_id, client_id, customer_id, status, correlation_id, traceparent, created_at, updated_at)
    SELECT id, id, 'c', 'c', 'PROCESSING', '', '', now(), now() FROM
      (SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid AS id FROM generate_series(1, {ROWS}) n) numbered;
    INSERT INTO delivery_outbox (event_id, group_id, payload, correlation_id, traceparent)
    SELECT id, id, '{{}}', '', '' FROM shipments"""}
# Locks that keep writers out, on tables that were there before.
STRONG = """
    SELECT c.relname, c.relfilenode, pg_stat_get_xact_tuples_returned(c.oid)
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""
TABLES = "SELECT relname, relfilenode, pg_stat_get_xact_tuples_returned(oid) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
ALONE = "-- no-transaction\n"


def apply(connection, script):
    """Applies a migration. Returns the tables that it kept others from writing into while it read or wrote all of them."""
    if script.startswith(ALONE):
        for statement in script.split(";\n")[:-1]:
            assert "CONCURRENTLY" in statement  # alone, and without keeping writers out
            connection.execute(statement)
        return set()
    with connection.transaction():
        before = {name: (file, read) for name, file, read in connection.execute(TABLES).fetchall()}
        connection.execute(script)
        locked = connection.execute(STRONG, (list(before),)).fetchall()
        return {name for name, file, read in locked if file != before[name][0] or read >= before[name][1] + ROWS}


def files_of(daemon):
    return sorted(pathlib.Path(ROOT, "sql", daemon).glob("*.sql"))


@contextlib.contextmanager
def filled(parts, daemon):
    """The database of a daemon before its first migration that counts."""
    with System(parts) as system, parts.connect(system.name) as connection:
        for file in files_of(daemon):
            if file.name < FIRST[daemon]:
                connection.execute(file.read_text())
        for statement in FILL[daemon].split(";\n"):
            connection.execute(statement)
        yield connection


@pytest.mark.parametrize("daemon", FIRST)
def test_no_migration_locks_a_table_for_long(parts, daemon):
    files = [file for file in files_of(daemon) if file.name >= FIRST[daemon]]
    with filled(parts, daemon) as connection:
        assert {file.name: apply(connection, file.read_text()) for file in files} == {file.name: set() for file in files}


@pytest.mark.parametrize("script", [
    "CREATE INDEX ON orders (updated_at)",
    "ALTER TABLE orders ALTER customer_id TYPE varchar(300)",
    "ALTER TABLE orders ADD COLUMN drawn float DEFAULT random()",
    "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total_amount >= 0)",
    "LOCK TABLE orders; UPDATE orders SET total_amount = 2",
])
def test_one_that_does_would_be_found(parts, script):
    with filled(parts, "order") as connection:
        assert apply(connection, script) == {"orders"}


# The daemons' statements lock the first of these tables before the second one.
PAIRS = {"order": ("orders", "order_items"), "delivery": ("shipments", "delivery_events")}


def waits_for_neither(admin, connection, script, first, second):
    """Applies a migration beside a statement that has locked the first table, and then locks the second one. False when each
    would have waited for the other."""
    waits = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
    with concurrent.futures.ThreadPoolExecutor() as threads, admin.transaction():
        admin.execute(f"LOCK TABLE {first} IN ROW EXCLUSIVE MODE")
        done = threads.submit(connection.execute, script)
        eventually(lambda: done.done() or admin.execute(waits, (connection.info.backend_pid,)).fetchone()[0],
                   what="the migration, or a lock that it waits for")
        try:
            admin.execute(f"LOCK TABLE {second} IN ROW EXCLUSIVE MODE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
    done.result()
    return True


@pytest.mark.parametrize("daemon", FIRST)
def test_no_migration_locks_tables_the_other_way_round(parts, daemon):
    with filled(parts, daemon) as connection, parts.connect(connection.info.dbname) as admin:
        for file in files_of(daemon):
            if file.name < FIRST[daemon]:
                continue
            script = file.read_text()
            if script.startswith(ALONE):
                apply(connection, script)
            else:
                assert waits_for_neither(admin, connection, script, *PAIRS[daemon]), file.name
