"""PgBouncer between the daemons and PostgreSQL, with pool_mode=transaction."""

import pytest
from harness import Load, System, basket, eventually
from pooler import PgBouncer
from test_failover import Restore

SESSIONS = 2


@pytest.fixture
def pooler(parts):
    with PgBouncer(parts.settings, SESSIONS) as pooler:
        yield pooler


def test_many_connections_share_few_sessions(parts, pooler):
    with System(parts, DB_POOL_SIZE="8", **pooler.behind()) as system:
        system.start()
        system.order_svc().start()
        load = Load(system, clients=32)
        load.more(500)
        assert pooler.clients(system.name) > 5 * SESSIONS
        assert pooler.sessions(system.name) <= SESSIONS
        ids = load.end()
        client = system.client()
        system.drain()
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        eventually(lambda: system.query(sessions, system.name)[0][0] == pooler.sessions(system.name) + len(system.daemons),
                   what="one direct connection of each daemon")
        for order in (ids[0], ids[-1]):
            eventually(lambda o=order: client.order(o)["status"] == "DELIVERED")
        system.all_delivered()
        assert {row[0] for row in system.query("SELECT id::text FROM orders")} >= set(ids)
        # Nothing is left in a session for whoever has it next.
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert pooler.query(system.name, f"SHOW {setting}") == "0\n"
        assert pooler.query(system.name, "SELECT count(*) FROM pg_prepared_statements") == "0\n"
        assert pooler.query(system.name, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == "0\n"


def test_deadlines_hold(parts, pooler):
    """A lock that others hold: of one statement, and in a transaction."""
    with System(parts, CARRIER_SIMULATION="false", DB_LOCK_TIMEOUT="200ms", **pooler.behind()) as system:
        system.start()
        client = system.client()
        order = client.created()
        shipment = eventually(lambda: system.deliveries().shipment(order))
        with system.parts.connect(system.name) as holder, holder.transaction():
            holder.execute("LOCK TABLE orders, shipments IN ACCESS EXCLUSIVE MODE")
            assert client.create().status_code == 503
            assert system.deliveries().move(shipment["id"], "SHIPPED").status_code == 503
        for daemon in system.daemons:
            eventually(lambda log=daemon.log_text: "55P03 canceling statement due to lock timeout" in log(),
                       what="the server's own limit")
        assert system.deliveries().move(shipment["id"], "SHIPPED").status_code == 200
        client.created()


def test_the_relay_of_a_replica_that_dies_is_replaced(parts, pooler):
    with System(parts, **pooler.behind()) as system:
        system.start()
        system.order_svc().start()
        client = system.client(daemon=system.daemons[2])
        client.created()
        system.drain()
        system.order.kill()
        order = client.created()
        eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")


def test_a_pooler_that_restarts_is_connected_to_again(parts, pooler):
    with System(parts, **pooler.behind()) as system:
        system.start()
        load = Load(system, clients=4)
        load.more(20)
        pooler.stop()
        eventually(lambda: not system.order.is_ready(), what="notice of the outage")
        pooler.start()
        load.more(20)
        ids = load.end()
        eventually(system.order.is_ready)
        assert {row[0] for row in system.query("SELECT id::text FROM orders")} >= set(ids)


def test_another_database_behind_it_is_noticed(parts, pooler):
    """The pooler keeps the connections of its clients: only the transactions tell."""
    with System(parts, CARRIER_SIMULATION="false", **pooler.behind()) as system:
        system.start()
        change, client, body = Restore(system), system.client(), basket()
        change.save()  # ends the sessions, of which not all connections know at once
        lost = eventually(lambda: (a := client.create(body, "lost")).status_code == 201 and a)
        eventually(lambda: client.create(body, "lost").headers.get("Idempotent-Replayed") == "true")
        change.replace()
        eventually(lambda: "the database was replaced" in system.order.log_text(), what="a transaction that tells it")
        again = eventually(lambda: (a := client.create(body, "lost")).status_code == 201 and a)
        assert "Idempotent-Replayed" not in again.headers
        assert again.json()["order_id"] != lost.json()["order_id"]
