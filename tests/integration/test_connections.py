"""How many connections a daemon has to PostgreSQL: as many as the documentation says."""

import re

import pytest
from harness import ROOT, Api, Load, System, eventually, http
from test_metrics import scrape

TEXT = (ROOT / "docs/CONFIGURATION.md").read_text()


def documented(daemon, pool, consumers):
    formula = re.search(rf"{daemon}\s+opens\s+`DB_POOL_SIZE \+ CONSUMER_THREADS / 2 \+ (\d+)`", TEXT)
    return pool + (consumers + 1) // 2 + int(formula[1])


def connections(system, service):
    return system.query("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = %s",
                        system.name, service)[0][0]


@pytest.mark.parametrize("consumers", [1, 3])
@pytest.mark.parametrize("carrier", [False, True])
def test_connections_are_as_many_as_documented(parts, consumers, carrier):
    with System(parts, DB_POOL_SIZE="1", CONSUMER_THREADS=str(consumers), CARRIER_SIMULATION=str(carrier).lower()) as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: system.deliveries().get(f"/delivery/shipment/{order}").status_code == 200)
        for service, expected in (("order-service", documented("order-svc", 1, consumers)),
                                  ("delivery-service", documented("delivery-svc", 1, consumers))):
            eventually(lambda s=service, e=expected: connections(system, s) == e,
                       what=f"{expected} connections of {service}")


def test_nobody_counts_for_metrics_that_are_off(parts):
    with System(parts, DB_POOL_SIZE="1", CONSUMER_THREADS="1", METRICS_PORT="0") as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")
        assert system.query("SELECT queue FROM order_queue_depths UNION SELECT queue FROM delivery_queue_depths") == []


def test_they_are_no_more_under_load(parts):
    with System(parts, DB_POOL_SIZE="2", CONSUMER_THREADS="4") as system:
        load = Load(system.start())
        most = {"order-service": 0, "delivery-service": 0}
        for _ in range(40):
            load.more(25)
            most = {service: max(seen, connections(system, service)) for service, seen in most.items()}
        load.end()
        assert most["order-service"] <= documented("order-svc", 2, 4)
        assert most["delivery-service"] <= documented("delivery-svc", 2, 4)
        eventually(system.is_drained, what="all events")
        for daemon in system.daemons:
            metrics = scrape(daemon).text
            for pool in ("quick", "events", "background"):
                labels = f'{{db_system_name="postgresql",db_client_connection_pool_name="{pool}"}}'
                assert f"db_client_connection_timeouts_total{labels} 0\n" in metrics
                assert f"db_client_connection_wait_time_seconds_count{labels} 0\n" not in metrics


def test_slow_jobs_delay_no_events(parts):
    """Two jobs wait for a lock, with both connections of the background in their hands."""
    with System(parts, DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s") as system:
        client = system.start().client()
        client.created()
        with system.parts.connect(system.name) as holder, holder.transaction():
            holder.execute("LOCK TABLE webhooks, webhook_deliveries IN ACCESS EXCLUSIVE MODE")
            jobs = """SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                         AND application_name = 'order-service' AND datname = current_database()"""  # others run beside this one
            eventually(lambda: system.query(jobs)[0][0] == 3, what="two jobs and the sender, which wait for the lock")
            order = client.created()
            eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")
            token = system.mint()
            assert http("POST", f"{system.order.url}/auth/revoke", auth=("demo-client", "demo-secret"),
                        data={"token": token}).status_code == 200
            for daemon in system.daemons:
                eventually(lambda d=daemon: Api(d.url, token).get("/health").status_code == 200 and
                           Api(d.url, token).get("/orders" if d is system.order else f"/delivery/shipment/{order}").status_code == 401)
            assert system.query(jobs)[0][0] == 3


def test_workers_have_one_each(parts):
    with System(parts, DB_POOL_SIZE="3", CONSUMER_THREADS="1", CARRIER_SIMULATION="false") as system:
        client = system.start().client()
        for _ in range(20):
            client.created()
        assert connections(system, "order-service") <= documented("order-svc", 3, 1)
