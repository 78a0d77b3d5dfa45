"""Readiness follows what a worker's connection can do, and an outage is a line in the log, not one for each request."""

import pytest
from harness import System, eventually, http


@pytest.fixture
def both(parts):
    with System(parts) as one:
        one.query(f"CREATE ROLE {one.name} SUPERUSER LOGIN PASSWORD 'the-first-password'")
        yield one
        for daemon in one.daemons:
            daemon.stop()
        one.query(f"REASSIGN OWNED BY {one.name} TO {one.settings['DB_USER']}; DROP ROLE {one.name}")


def ready(daemon):
    answer = http("GET", f"{daemon.url}/health/ready")
    return answer.status_code, answer.json().get("reason")


def as_role(system):
    return {"DB_USER": system.name, "DB_PASSWORD": "the-first-password"}


def end_workers(system):
    """Ends the connections of the workers. That of the health check, which also holds the locks of relays, lives on."""
    system.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
                 " AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')", system.name)


def test_password_that_changed(both):
    order = both.order_svc(**as_role(both)).start()
    client = both.client()
    client.created()
    both.query(f"ALTER ROLE {both.name} PASSWORD 'another-password'")
    end_workers(both)
    statuses = [client.create().status_code for _ in range(60)]
    assert set(statuses) == {503}
    eventually(lambda: ready(order) == (503, "database"))
    lines = [line["body"] for line in order.log_lines() if "for POST /orders" in line["body"]]
    assert len(lines) == 1 and "database for POST /orders is unavailable" in lines[0], lines
    both.query(f"ALTER ROLE {both.name} PASSWORD 'the-first-password'")
    eventually(lambda: ready(order) == (200, None))
    eventually(lambda: client.create().status_code == 201)

    def ended():
        client.created()
        return [line for line in order.log_lines() if "database for POST /orders is available again" in line["body"]]

    end, = eventually(ended, what="the end of the outage")
    assert int(end["body"].split()[-2]) >= 60


@pytest.mark.parametrize("make, table", [(System.order_svc, "orders"), (System.delivery_svc, "shipments")])
def test_tables_that_are_gone(both, make, table):
    daemon = make(both).start()
    both.query(f"ALTER TABLE {table} RENAME TO elsewhere")
    eventually(lambda: ready(daemon) == (503, "database"))
    both.query(f"ALTER TABLE elsewhere RENAME TO {table}")
    eventually(lambda: ready(daemon) == (200, None))


@pytest.mark.parametrize("make, table", [(System.order_svc, "revoked_tokens"), (System.delivery_svc, "delivery_revoked_tokens")])
def test_who_is_ready_knows_the_revoked_tokens(both, make, table):
    daemon = make(both)
    assert daemon.command("--migrate").returncode == 0
    with both.parts.connect(both.name) as other, other.transaction():
        other.execute(f"LOCK TABLE {table}")
        daemon.launch()
        eventually(lambda: daemon.health() == 200, what="a database that is well")
        assert ready(daemon) == (503, "database")
    eventually(lambda: ready(daemon) == (200, None))
