"""Two relays of one outbox whose queue is away."""

import time

import pytest
from harness import Load, PrivateParts, System, eventually, until_none_is_left


@pytest.fixture
def parts():
    private = PrivateParts()
    yield private
    private.close()


def test_an_outage_of_the_queue_is_one_line_of_each_relay(parts):
    """Two relays that both cannot publish hand the lock to and fro. Neither says meanwhile that all is well."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        daemons = [system.order_svc().start(), system.order_svc().start()]

        def told(daemon, words):
            return sum(line["body"].startswith("relay of order_outbox") and words in line["body"] for line in daemon.log_lines())

        load = Load(system, clients=2)
        load.more(20)
        parts.stop("elasticmq")
        try:
            eventually(lambda: all(told(daemon, "gives another one the chance") for daemon in daemons), what="both to have given up")
            before = load.answered()
            time.sleep(10)  # in which both try again
            assert len(load.answered()) > len(before)
            assert [told(daemon, "is unavailable") for daemon in daemons] == [1, 1]
            assert [told(daemon, "is available again") for daemon in daemons] == [0, 0]
        finally:
            parts.start("elasticmq")
        eventually(lambda: all(told(daemon, "is available again") for daemon in daemons), what="the end of both outages")
        load.end()
        until_none_is_left(lambda: system.query("SELECT count(*) FROM order_outbox")[0], "events")
