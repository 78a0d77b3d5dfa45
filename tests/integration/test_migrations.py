"""Migrations let others read and write: none of them looks at each row of a table, or writes it anew, while it locks it."""

import concurrent.futures
import contextlib
import pathlib
import re

import psycopg
import pytest
from clusters import Cluster
from harness import ROOT, System, eventually
from test_fault_hosts import system_on

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
    INSERT INTO delivery_events (shipment_id, order_id, status, description, actor, request_id, occurred_at)
    SELECT id, order_id, 'PROCESSING', '', 'carrier', '', now() FROM shipments;
    INSERT INTO delivery_outbox (event_id, group_id, payload, correlation_id, traceparent)
    SELECT id, id, '{{}}', '', '' FROM shipments"""}
# After the migration that makes these tables.
FILL_AFTER = {"012_webhooks.sql": """
    INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, status, request_id)
    SELECT 1, 1, 1, now(), id, 'c', 'order.created', 'PENDING_SHIPMENT', '' FROM orders;
    INSERT INTO webhook_deliveries (id, webhook_id, order_id, type, body) SELECT id, id, id, 'order.created', '' FROM orders"""}
# What keeps writers out for a moment, and does nothing that takes long meanwhile: somebody has looked at it.
MOMENTS = {
    "order/013_order_fields.sql": {"orders"},  # columns without values
    "order/015_cancelling.sql": {"orders"},  # the same, and a check that holds for new rows only
    "order/019_items_unchecked.sql": {"orders", "order_items"},  # drops a foreign key
    "delivery/009_cancelling.sql": {"shipments"},  # a column without values, and a check as above
    "delivery/010_retention.sql": {"shipments", "delivery_events"},  # a foreign key that holds for new rows only
}
# Locks that keep writers out, on tables that were there before.
STRONG = """
    SELECT c.relname, c.relfilenode, pg_stat_get_xact_tuples_returned(c.oid)
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""
TABLES = "SELECT relname, relfilenode, pg_stat_get_xact_tuples_returned(oid) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
ALONE = "-- no-transaction\n"


def apply(connection, script):
    """Applies a migration. Returns the tables that it kept others from writing into, and those of which it read or wrote all
    rows meanwhile."""
    if script.startswith(ALONE):
        for statement in script.split(";\n")[:-1]:
            assert "CONCURRENTLY" in statement  # alone, and without keeping writers out
            connection.execute(statement)
        return set(), set()
    with connection.transaction():
        before = {name: (file, read) for name, file, read in connection.execute(TABLES).fetchall()}
        connection.execute(script)
        locked = connection.execute(STRONG, (list(before),)).fetchall()
        return ({name for name, _, _ in locked},
                {name for name, file, read in locked if file != before[name][0] or read >= before[name][1] + ROWS})


def files_of(daemon):
    return sorted(pathlib.Path(ROOT, "sql", daemon).glob("*.sql"))


@contextlib.contextmanager
def filled(parts, daemon):
    """The database of a daemon before its first migration that counts."""
    with System(parts) as system, parts.connect(system.name) as connection:
        for file in files_of(daemon):
            if file.name < FIRST[daemon]:
                connection.execute(file.read_text())
        connection.execute(FILL[daemon])
        yield connection


def apply_all(connection, daemon):
    """What apply returns of each migration that counts, where it locked anything."""
    locked, slow = {}, {}
    for file in files_of(daemon):
        if file.name >= FIRST[daemon]:
            locked[f"{daemon}/{file.name}"], slow[f"{daemon}/{file.name}"] = apply(connection, file.read_text())
            connection.execute(FILL_AFTER.get(file.name, ""))
    return [{name: tables for name, tables in each.items() if tables} for each in (locked, slow)]


@pytest.mark.parametrize("daemon", FIRST)
def test_no_migration_locks_a_table_for_long(parts, daemon):
    with filled(parts, daemon) as connection:
        locked, slow = apply_all(connection, daemon)
    assert slow == {}
    assert locked == {name: tables for name, tables in MOMENTS.items() if name.startswith(daemon)}


@pytest.mark.parametrize("daemon, table, script", [
    ("order", "orders", "CREATE INDEX ON orders (updated_at)"),
    ("order", "orders", "ALTER TABLE orders ALTER customer_id TYPE varchar(300)"),
    ("order", "orders", "ALTER TABLE orders ADD COLUMN drawn float DEFAULT random()"),
    ("order", "orders", "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total_amount >= 0)"),
    ("order", "orders", "LOCK TABLE orders; UPDATE orders SET total_amount = 2"),
    ("order", "order_events", "CREATE INDEX ON order_events (actor)"),
    ("order", "webhook_deliveries", "CREATE INDEX ON webhook_deliveries (created_at)"),
    ("delivery", "delivery_events", "CREATE INDEX ON delivery_events (occurred_at)"),
    ("delivery", "shipments", "ALTER TABLE shipments ADD UNIQUE (order_id, id)"),
])
def test_one_that_does_would_be_found(parts, daemon, table, script):
    with filled(parts, daemon) as connection:
        apply_all(connection, daemon)
        locked, slow = apply(connection, script)
        assert table in locked and {re.sub(r"_\d{8}$", "", name) for name in slow} == {table}  # or its partition of today


def test_one_that_only_waits_would_be_found(parts):
    with filled(parts, "order") as connection:
        assert apply(connection, "LOCK TABLE orders; SELECT pg_sleep(0.1)") == ({"orders"}, set())


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


def test_autovacuum_gives_way(parts):
    """It holds a table for as long as it needs, and lets go when somebody has waited for a second."""
    with Cluster() as cluster:
        cluster.initialize().start()
        cluster.sql("CREATE DATABASE orderprocessing")
        cluster.sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        cluster.sql("SELECT pg_reload_conf()")
        with system_on(parts, cluster) as system:
            order = system.order_svc()
            assert order.command("--migrate").returncode == 0
            cluster.sql(f"{FILL['order'].partition('INSERT INTO idempotency_keys')[0]};"
                        "DELETE FROM order_migrations WHERE name = '019_items_unchecked';"
                        # A page in a tenth of a second, from now on.
                        "ALTER TABLE order_items SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,"
                        "                             autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);"
                        "UPDATE order_items SET quantity = 2; UPDATE order_items SET quantity = 3", "orderprocessing")
            eventually(lambda: cluster.sql("SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'order_items'::regclass",
                                           "orderprocessing") == "1", what="autovacuum")
            assert order.command("--migrate").returncode == 0
            assert "waiting for a table that others hold" in order.log_text()
            assert "canceling autovacuum task" in (cluster.folder / "log").read_text()
