"""Several hosts of the database: silent ones, a standby, a failover; and a database that takes no writes."""

import contextlib
import os
import socket
import sys

import pytest
from clusters import PASSWORD, primary_and_standby
from harness import ROOT, Load, System, basket, eventually, free_port, http, until_none_is_left

sys.path.append(str(ROOT / "tests/faults"))
from stage import Proxy  # noqa: E402 (found through the line above)


@pytest.fixture
def pair():
    """A primary and its standby."""
    with primary_and_standby() as servers:
        yield servers


@pytest.fixture
def far_away():
    proxy = Proxy()
    yield proxy
    proxy.close()


def system_on(parts, *clusters, **settings):
    """A system whose database is one of these."""
    hosts, ports = ",".join(["127.0.0.1"] * len(clusters)), ",".join(str(cluster.port) for cluster in clusters)
    return System(parts, **{"DB_HOST": hosts, "DB_PORT": ports, "DB_NAME": "orderprocessing", "DB_USER": "admin",
                            "DB_PASSWORD": PASSWORD, **settings})


@contextlib.contextmanager
def silence(port, swallows):
    """An address that says nothing at this port: it takes connections, or it swallows the packets that ask for one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.2", int(port)))
        listener.listen(0 if swallows else 128)
        for _ in range(4 if swallows else 0):  # the backlog is full of these
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield "127.0.0.2"


def ready(daemon):
    answer = http("GET", f"{daemon.url}/health/ready")
    return answer.status_code, answer.json().get("reason")


@pytest.mark.parametrize("swallows", [False, True])
def test_silent_hosts_do_not_hide_the_next_one(parts, swallows):
    with silence(parts.settings["DB_PORT"], swallows) as host:
        # A host that had all of its timeout to itself would outlast the patience of the test.
        settings = {"DB_HOST": f"{host},{host},{parts.settings['DB_HOST']}", "DB_CONNECT_TIMEOUT": "60s"}
        with System(parts, **settings) as system:
            assert system.order_svc().start()
            for _ in range(20):
                system.client().created()


def test_a_standby_is_passed_over_and_a_failover_followed(parts, pair):
    primary, standby = pair
    with system_on(parts, standby, primary) as system:
        order = system.order_svc().start()
        system.client().created()
        eventually(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()") == "1",
                   what="a standby that has all")
        primary.kill()
        eventually(lambda: ready(order) == (503, "database"))
        standby.promote()
        eventually(lambda: ready(order) == (200, None))
        eventually(lambda: system.client().create().status_code == 201)


def test_a_name_may_have_several_addresses(parts, tmp_path):
    """One that a resolver knows, as in Kubernetes: it leads to the primary and its standby, and to a place where nobody is."""
    port, name, file = free_port(), "database.example", tmp_path / "hosts"
    file.write_text("".join(f"127.0.0.{number} {name}\n" for number in (4, 3, 2)))
    resolver = {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(file), "NSS_WRAPPER_DISABLE_DEEPBIND": "1",
                # It is loaded before the sanitizer.
                "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
    with primary_and_standby(("127.0.0.2", port), ("127.0.0.3", port)) as (primary, standby), \
            system_on(parts, primary, DB_HOST=name, **resolver) as system:
        order = system.order_svc().start()
        load = Load(system, clients=4)
        load.more(20)
        primary.kill()
        eventually(lambda: ready(order) == (503, "database"))
        standby.promote()
        load.more(20)
        load.end()


def test_a_database_that_takes_no_writes(parts, pair):
    primary, _ = pair
    with system_on(parts, primary) as system:
        order = system.order_svc().start()
        client = system.client()
        client.created()
        for value, expected in (("on", (503, "database")), ("off", (200, None))):
            primary.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            primary.sql("SELECT pg_reload_conf()")
            eventually(lambda expected=expected: ready(order) == expected)
        eventually(lambda: client.create().status_code == 201)


def wait_for_standby(primary):
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.sql("SELECT pg_reload_conf()")
    eventually(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1")


def orders(cluster):
    return set(cluster.sql("SELECT id FROM orders", "orderprocessing").split())


@pytest.mark.parametrize("way", ["fast", "immediate"])
def test_a_failover_to_a_synchronous_standby_loses_no_order(parts, pair, way):
    primary, standby = pair
    with system_on(parts, primary, standby) as system:
        order = system.order_svc().start()
        system.order_svc().start()  # a replica, whose relay follows, too
        wait_for_standby(primary)
        load = Load(system, clients=8)
        load.more(50)
        primary.stop(way)
        standby.promote()
        load.more(50)
        # The old primary comes back as a standby, at its old place in the list.
        primary.remove().copy(standby).start()
        standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'order-service'")
        load.more(50)
        answered = load.end()
        assert set(answered) <= orders(standby)
        assert primary.sql("SELECT pg_is_in_recovery()") == "t"
        until_none_is_left(lambda: [int(standby.sql("SELECT count(*) FROM order_outbox", "orderprocessing"))], "events in the outbox")
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'order-service'"
        eventually(lambda: primary.sql(sessions) == "0", what="no session with a standby")
        assert "25006" not in order.log_text(), "a standby was asked for what it refuses"


def test_what_no_standby_has_confirmed_is_not_answered_201(parts, pair):
    primary, standby = pair
    with system_on(parts, primary, DB_STATEMENT_TIMEOUT="1s") as system:
        system.order_svc().start()
        wait_for_standby(primary)
        client, body, first = system.client(), basket(), basket()
        client.accepted(first, "first")
        standby.freeze()
        answer = client.create(body, "key")
        assert answer.status_code == 503, answer.text
        standby.thaw()
        answer = eventually(lambda: (a := client.create(body, "key")).status_code == 201 and a)
        assert orders(primary) >= {answer.json()["order_id"]}
        assert len(orders(primary)) == 2, "one for each body"


def test_an_old_primary_that_still_takes_writes_is_passed_over(parts, pair, far_away):
    """A standby is promoted, and nobody tells the primary. Its commits wait for the standby for ever. And it answers sooner
    than the new primary, which is far away."""
    primary, standby = pair
    far = far_away.add("standby", "127.0.0.1", standby.port)
    far_away.fault("standby", "latency", "both", 0.15)
    with system_on(parts, primary, standby, DB_PORT=f"{primary.port},{far}", DB_STATEMENT_TIMEOUT="1s") as system:
        order = system.order_svc().start()
        wait_for_standby(primary)
        load = Load(system, clients=8)
        load.more(50)
        standby.promote()
        load.more(50)
        assert not {answer.json()["order_id"] for answer in load.answers[-20:] if answer.status_code == 201} & orders(primary)
        for _ in range(3):  # whoever connects again may meet the old primary first
            standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'order-service'")
            load.more(20)
        answered = load.end()
        assert set(answered) <= orders(standby)
        assert order.log_text().count("the database was replaced") == 1
