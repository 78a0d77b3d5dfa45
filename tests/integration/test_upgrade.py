"""The release before writes orders while the migrations of this one run, and afterwards. Its statements are kept here."""

import pathlib
import threading
import uuid

import psycopg
import pytest
from harness import ROOT, System, basket, eventually

BEFORE = sorted(file for file in pathlib.Path(ROOT, "sql/order").glob("*.sql") if file.name < "013")
FILL = """
    INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at, quiet_since)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'old', 'c', 'DELIVERED', 1, 3, now(), now(), now()
      FROM generate_series(1, 100000) n;
    INSERT INTO order_items SELECT id, 1, 'p', 1, 1 FROM orders"""
# order_create and order_update of src/order/order_store.c, before orders had references, without what did not change.
CREATE = """
    WITH input AS (
      SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
        AS t(id, client_id, customer_id, cents, created_at, key)
    ), claimed AS (
      INSERT INTO idempotency_keys AS k (client_id, key, fingerprint, order_id, expires_at)
      SELECT client_id, key, '\\x00', id, created_at + interval '1 day' FROM input WHERE key IS NOT NULL
      ON CONFLICT (client_id, key) DO UPDATE SET order_id = excluded.order_id WHERE k.expires_at <= now()
      RETURNING order_id
    ), fresh AS (
      SELECT * FROM input WHERE key IS NULL OR id IN (SELECT order_id FROM claimed)
    ), placed AS (
      INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at)
      SELECT id, client_id, customer_id, cents * 0.01, created_at, created_at FROM fresh
    ), listed AS (
      INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)
      SELECT id, 1, 'p', 1, cents * 0.01 FROM fresh
    )
    SELECT id FROM fresh"""
UPDATE = """
    UPDATE orders o
       SET status = t.status, tracking_number = t.tracking_number, carrier = t.carrier,
           version = t.version, updated_at = t.updated_at, quiet_since = now()
      FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[])
        AS t(id, status, tracking_number, carrier, version, updated_at)
     WHERE o.id = t.id"""
LOCK = "SELECT o.id, o.status, o.version FROM orders o WHERE o.id = ANY (%s::uuid[]) ORDER BY o.id FOR NO KEY UPDATE OF o"
LIST = "WITH o AS (SELECT * FROM orders WHERE id < %s ORDER BY id DESC LIMIT 20) SELECT o.id, o.status FROM o"


class OldReplica:
    """Threads that make, ship and list orders in turn, with prepared statements and the deadlines of a daemon."""

    def __init__(self, system, threads=4):
        self.system, self.stopping, self.rounds, self.faults = system, False, 0, []
        self.threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        try:
            with self.system.parts.connect(self.system.name, prepare_threshold=0,
                                           options="-c lock_timeout=10s -c statement_timeout=20s") as connection:
                while not self.stopping:
                    self._work(connection)
                    self.rounds += 1
        except psycopg.Error as error:
            self.faults.append(error)

    def _work(self, connection):
        order_id = uuid.uuid4()
        (now,) = connection.execute("SELECT date_trunc('milliseconds', now())").fetchone()
        made = connection.execute(CREATE, ([order_id], ["old"], ["c"], [150], [now], [f"k:{order_id}"])).fetchall()
        assert made == [(order_id,)]
        with connection.transaction():
            assert len(connection.execute(LOCK, ([order_id],)).fetchall()) == 1
            done = connection.execute(UPDATE, ([order_id], ["SHIPPED"], ["T"], [None], [2], [now]))
            assert done.rowcount == 1
        assert connection.execute(LIST, (uuid.UUID(int=2**128 - 1),)).fetchall()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        assert not self.faults


@pytest.fixture
def old(parts):
    """A database as the release before has left it."""
    with System(parts) as system:
        system.query("CREATE TABLE order_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
        for file in BEFORE:
            with parts.connect(system.name) as connection:
                connection.execute(file.read_text())
            system.query("INSERT INTO order_migrations (name) VALUES (%s)", file.stem)
        for statement in FILL.split(";"):
            system.query(statement)
        yield system


def test_release_before_works_while_the_migrations_run_and_afterwards(old):
    replica = OldReplica(old)
    try:
        eventually(lambda: replica.rounds > 20)
        order = old.order_svc()
        assert order.command("--migrate").returncode == 0
        after = replica.rounds
        eventually(lambda: replica.rounds > after + 20)
        order.start()
        api = old.client("old")
        created = api.created(basket(reference="R-1"), "key")
        assert api.order(created)["reference"] == "R-1"
        eventually(lambda: replica.rounds > after + 60)
    finally:
        replica.stop()
    # What it wrote is there for the new release, and shows that it lacks what is new.
    (order_id,), *_ = old.query("SELECT id FROM orders WHERE version = 2 ORDER BY created_at DESC")
    order = api.order(order_id)
    assert order["status"] == "SHIPPED" and not {"currency", "reference", "metadata", "shipped_at"} & set(order)
    assert str(order_id) in [one["id"] for one in api.get(
        f"/orders?limit=100&updated_since={order['updated_at']}").json()["orders"]]
