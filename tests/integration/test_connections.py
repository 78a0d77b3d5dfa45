"""How many connections a daemon has to PostgreSQL: as many as the documentation says."""

import re

import pytest
from harness import ROOT, System, eventually

TEXT = (ROOT / "docs/CONFIGURATION.md").read_text()


def documented(daemon, pool, consumers, carrier=False):
    formula = re.search(rf"{daemon}\s+opens `DB_POOL_SIZE \+ CONSUMER_THREADS \+ (\d+)`", TEXT)
    return pool + consumers + int(formula[1]) + carrier


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
                                  ("delivery-service", documented("delivery-svc", 1, consumers, carrier))):
            eventually(lambda s=service, e=expected: connections(system, s) == e,
                       what=f"{expected} connections of {service}")


def test_nobody_counts_for_metrics_that_are_off(parts):
    with System(parts, DB_POOL_SIZE="1", CONSUMER_THREADS="1", METRICS_PORT="0") as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: client.order(order)["status"] == "DELIVERED", what="delivery")  # some seconds
        assert system.deliveries().get(f"/delivery/shipment/{order}").status_code == 200
        for service, all_of_them in (("order-service", documented("order-svc", 1, 1)),
                                     ("delivery-service", documented("delivery-svc", 1, 1, carrier=True))):
            eventually(lambda s=service, n=all_of_them: connections(system, s) >= n - 1)
            assert connections(system, service) == all_of_them - 1
        assert system.query("SELECT queue FROM order_queue_depths UNION SELECT queue FROM delivery_queue_depths") == []


def test_workers_have_one_each(parts):
    with System(parts, DB_POOL_SIZE="3", CONSUMER_THREADS="1", CARRIER_SIMULATION="false") as system:
        client = system.start().client()
        for _ in range(20):
            client.created()
        assert connections(system, "order-service") <= documented("order-svc", 3, 1)
