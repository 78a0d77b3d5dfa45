"""How many connections a daemon has to PostgreSQL: as many as the documentation says."""

import re

import pytest
from harness import ROOT, Api, Load, System, eventually, http
from test_metrics import scrape

TEXT = (ROOT / "docs/CONFIGURATION.md").read_text()


def documented(pool, consumers):
    formula = re.search(r"Each daemon\s+opens\s+`DB_POOL_SIZE \+ CONSUMER_THREADS / 2 \+ (\d+)`\s+connections,.*?"
                        r"Less than (\d+)\s+`CONSUMER_THREADS`\s+save no", TEXT, re.DOTALL)
    return pool + (max(consumers, int(formula[2])) + 1) // 2 + int(formula[1])


def connections(system, service):
    return system.query("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = %s",
                        system.name, service)[0][0]


@pytest.mark.parametrize("consumers", [1, 5])
@pytest.mark.parametrize("carrier", [False, True])
def test_connections_are_as_many_as_documented(parts, consumers, carrier):
    with System(parts, DB_POOL_SIZE="1", CONSUMER_THREADS=str(consumers), CARRIER_SIMULATION=str(carrier).lower()) as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: system.deliveries().get(f"/delivery/shipment/{order}").status_code == 200)
        expected = documented(1, consumers)
        for service in ("order-service", "delivery-service"):
            eventually(lambda s=service: connections(system, s) == expected, what=f"{expected} connections of {service}")


def test_nobody_counts_for_metrics_that_are_off(parts):
    with System(parts, DB_POOL_SIZE="1", CONSUMER_THREADS="1", METRICS_PORT="0") as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")
        assert system.query("SELECT queue FROM order_queue_depths UNION SELECT queue FROM delivery_queue_depths") == []


def test_they_are_no_more_under_load(parts):
    with System(parts, DB_POOL_SIZE="2", CONSUMER_THREADS="4") as system:
        load = Load(system.start())
        seen = {"order-service": [], "delivery-service": []}
        for _ in range(40):
            load.more(25)
            for service, counts in seen.items():
                counts.append(connections(system, service))
        load.end()
        for counts in seen.values():
            assert sorted(counts)[-3] <= documented(2, 4)  # a health check that is late has one of its own for a moment
        system.drain()
        for daemon in system.daemons:
            metrics = scrape(daemon).text
            for pool in ("session", "work"):
                labels = f'{{db_system_name="postgresql",db_client_connection_pool_name="{pool}"}}'
                assert pool == "session" or f"db_client_connection_timeouts_total{labels} 0\n" in metrics
                assert f"db_client_connection_wait_time_seconds_count{labels} 0\n" not in metrics


def test_slow_jobs_delay_no_events(parts):
    """What may be late waits for a lock, with the connection in its hands that it may have."""
    with System(parts, DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s") as system:
        client = system.start().client()
        client.created()
        with system.parts.connect(system.name) as holder, holder.transaction():
            holder.execute("LOCK TABLE webhooks, webhook_deliveries IN ACCESS EXCLUSIVE MODE")
            jobs = """SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                         AND application_name = 'order-service' AND datname = current_database()"""  # others run beside this one
            eventually(lambda: system.query(jobs)[0][0] == 1, what="a job or the sender, which waits for the lock")
            order = client.created()
            eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")
            token = system.mint()
            assert http("POST", f"{system.order.url}/auth/revoke", auth=("demo-client", "demo-secret"),
                        data={"token": token}).status_code == 200
            for daemon in system.daemons:
                eventually(lambda d=daemon: Api(d.url, token).get("/health").status_code == 200 and
                           Api(d.url, token).get("/orders" if d is system.order else f"/delivery/shipment/{order}").status_code == 401)
            assert system.query(jobs)[0][0] == 1


def test_consumers_that_wait_delay_no_revocation(parts):
    """They wait for a lock with all connections in their hands that they may have."""
    with System(parts, DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s", CARRIER_SIMULATION="false") as system:
        client = system.start().client()
        order = client.created()
        with system.parts.connect(system.name) as holder, holder.transaction():
            holder.execute("LOCK TABLE shipments IN ACCESS EXCLUSIVE MODE")
            waiting = """SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                            AND application_name = 'delivery-service' AND datname = current_database()"""
            for _ in range(30):
                client.created()
            eventually(lambda: system.query(waiting)[0][0] >= 2, what="consumers that wait for the lock")
            token = system.mint()
            assert http("POST", f"{system.order.url}/auth/revoke", auth=("demo-client", "demo-secret"),
                        data={"token": token}).status_code == 200
            eventually(lambda: Api(system.delivery.url, token).get(f"/delivery/shipment/{order}").status_code == 401, what="revocation")
            assert system.query(waiting)[0][0] >= 2
        system.drain()


def test_workers_have_one_each(parts):
    with System(parts, DB_POOL_SIZE="3", CONSUMER_THREADS="1", CARRIER_SIMULATION="false") as system:
        load = Load(system.start())
        eventually(lambda: connections(system, "order-service") == documented(3, 1), what="all connections")
        load.more(50)
        load.end()
        eventually(lambda: connections(system, "order-service") == documented(3, 1), what="no more of them")


def test_revoked_tokens_are_read_once_over_whatever_connection(parts):
    """The thread that follows them uses the connection that is free."""
    rows, read = 5000, "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'delivery_revoked_tokens'"
    with System(parts) as system:
        system.order_svc().start()
        assert system.delivery_svc().command("--migrate").returncode == 0
        # By an old transaction, for which nobody has to wait who still runs.
        system.query("INSERT INTO delivery_revoked_tokens (token_id, expires_at, written_by) "
                     "SELECT gen_random_uuid(), now() + interval '1 hour', '3' FROM generate_series(1, %s)", rows)
        system.delivery.start()
        eventually(lambda: system.query(read)[0][0] >= rows, what="the first look")
        load = Load(system)
        load.more(500)
        load.end()
        system.drain()
        assert system.query(read)[0][0] < 2 * rows
