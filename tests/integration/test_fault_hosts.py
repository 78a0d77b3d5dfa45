"""Several hosts of the database: one that is silent, a standby, a failover; and a database that takes no writes."""

import contextlib
import socket

import pytest
from clusters import PASSWORD, Cluster
from harness import System, eventually, http


@pytest.fixture
def pair():
    """A primary and its standby."""
    with Cluster() as primary, Cluster() as standby:
        primary.initialize().start()
        primary.sql("CREATE DATABASE orderprocessing")
        standby.copy(primary).start()
        yield primary, standby


def system_on(parts, *clusters, **settings):
    """A system whose database is one of these."""
    hosts, ports = ",".join(["127.0.0.1"] * len(clusters)), ",".join(str(cluster.port) for cluster in clusters)
    return System(parts, **{"DB_HOST": hosts, "DB_PORT": ports, "DB_NAME": "orderprocessing", "DB_USER": "admin",
                            "DB_PASSWORD": PASSWORD, **settings})


@contextlib.contextmanager
def silence(port):
    """An address that takes connections at this port and says nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.2", int(port)))
        listener.listen(128)
        yield "127.0.0.2"


def ready(daemon):
    answer = http("GET", f"{daemon.url}/health/ready")
    return answer.status_code, answer.json().get("reason")


def test_a_silent_host_does_not_hide_the_next_one(parts):
    with silence(parts.settings["DB_PORT"]) as host:
        settings = {"DB_HOST": f"{host},{parts.settings['DB_HOST']}", "DB_CONNECT_TIMEOUT": "1s"}
        with System(parts, **settings) as system:
            assert system.order_svc().start()
            for _ in range(20):
                system.client().created()


def test_a_standby_is_passed_over_and_a_failover_followed(parts, pair):
    primary, standby = pair
    with system_on(parts, standby, primary) as system:
        order = system.order_svc().start()
        system.client().created()
        primary.kill()
        eventually(lambda: ready(order) == (503, "database"))
        standby.promote()
        eventually(lambda: ready(order) == (200, None))
        eventually(lambda: system.client().create().status_code == 201)


def test_a_database_that_takes_no_writes(parts, pair):
    primary, _ = pair
    with system_on(parts, primary) as system:
        order = system.order_svc().start()
        client = system.client()
        client.created()
        for value, expected in (("on", (503, "database")), ("off", (200, None))):
            primary.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            primary.sql("SELECT pg_reload_conf()")
            eventually(lambda expected=expected: ready(order) == expected, timeout=15)
        eventually(lambda: client.create().status_code == 201)
