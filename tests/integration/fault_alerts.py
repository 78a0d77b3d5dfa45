"""A fault that lasts fires exactly its alerts, and none stays on when it has ended."""

import contextlib
import time

import pytest
import requests
from harness import PrivateParts, System, eventually
from observer import Prometheus

LONG = 240  # seconds until an alert that ought to change is given up: never a measure of speed


@pytest.fixture(scope="module")
def private():
    parts = PrivateParts()
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def system(private):
    with System(private) as both:
        yield both.start()


@pytest.fixture(scope="module")
def prometheus(system):
    addresses = [daemon.metrics_url.split("/")[2] for daemon in system.daemons]
    with Prometheus(order_svc=addresses[:1], delivery_svc=addresses[1:]) as started:
        eventually(lambda: len(started.query("up == 1")) == 3, what="all targets")
        yield started


def stop_delivery(system, private):
    system.delivery.kill()


def start_delivery(system, private):
    system.delivery.start()


def stop_part(name):
    return lambda system, private: private.stop(name)


def start_part(name):
    return lambda system, private: private.start(name)


# How it begins and ends, whether orders come meanwhile, and what fires.
FAULTS = {
    "no Redis": (stop_part("redis"), start_part("redis"), True, {"RedisAway", "BreakerOpen"}),
    "no SQS": (stop_part("elasticmq"), start_part("elasticmq"), True, {"SqsAway", "BreakerOpen", "OutboxOld"}),
    "no PostgreSQL": (stop_part("postgres"), start_part("postgres"), False, {"DatabaseAway"}),
    "no delivery-svc": (stop_delivery, start_delivery, False, {"DaemonDown"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_fires_exactly_its_alerts(system, private, prometheus, name):
    begin, end, busy, expected = FAULTS[name]
    client, seen = system.client(), set()

    def firing():
        if busy:
            with contextlib.suppress(requests.ConnectionError):
                client.create()
        time.sleep(0.5)
        now = set(prometheus.firing())
        seen.update(now)
        return now

    eventually(lambda: not firing(), timeout=LONG, what="silence before the fault")
    begin(system, private)
    try:
        eventually(lambda: firing() == expected, timeout=LONG, what=f"{expected}")
    finally:
        print("fired:", seen)
        end(system, private)
    eventually(lambda: not firing(), timeout=LONG, what="silence after the fault")
    assert seen == expected
