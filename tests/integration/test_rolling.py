"""Replicas behind HAProxy are restarted under load, and no client notices. scripts/test-rolling.sh does more of this."""

import sys

from harness import ROOT, eventually

sys.path.append(str(ROOT / "tests/rolling"))

import truth  # noqa: E402
from fleet import Fleet  # noqa: E402

FEW = 100  # requests before, between and after the restarts


def test_nobody_notices_that_replicas_are_restarted(parts):
    with Fleet(parts, replicas=2, SHUTDOWN_DELAY="2s") as fleet:
        load = fleet.load(clients=6)
        try:
            eventually(lambda: load.count() > FEW)
            for service in ("order-svc", "delivery-svc"):
                fleet.restart(fleet.daemons[service][0])
            goal = load.count() + FEW
            eventually(lambda: load.count() > goal)
        finally:
            journal = load.stop()
        truth.rest(fleet.system)
        assert not journal.failures
        assert not truth.faults(fleet.system, journal)
        assert journal.orders
        assert not fleet.balancer.failures()
