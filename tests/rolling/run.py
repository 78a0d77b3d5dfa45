"""Restarts or upgrades replicas behind a balancer under load, and checks that no client noticed.

Usage: run.py restart|kill|upgrade|idle [--replicas N] [--clients N] [--rounds N] [--old DIR] [--set NAME=VALUE]...
The daemons are those of ORDER_SVC and DELIVERY_SVC, the old ones those in DIR. Exits with 1 when a client noticed.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import fleet as fleets  # noqa: E402 (finds harness through the line above)
import harness  # noqa: E402
import truth  # noqa: E402

MANY = 10  # lines that are shown of one kind


def show(name, lines):
    for line in lines[:MANY]:
        print(f"  {name}: {line}")


class Run:
    def __init__(self, options):
        self.options, self.began = options, time.monotonic()

    def say(self, words):
        print(f"[{time.monotonic() - self.began:4.0f}s] {words}", flush=True)

    def report(self, fleet, journal, what, noticed=False):
        """Says what happened. Returns whether it is good: that nobody noticed, or may have noticed."""
        show("failed", journal.failures)
        show("HAProxy", fleet.balancer.failures())
        print("  " + ", ".join(f"{route}: {count}" for route, count in sorted(journal.requests.items())))
        self.say(f"{what}: {sum(journal.requests.values())} requests, {len(journal.failures)} failed, {len(journal.orders)} orders, "
                 f"{len(journal.cancelled)} wishes to cancel, slowest answer {journal.slowest:.2f} s, sent again "
                 f"{fleet.balancer.count('wretr')}, to another replica {fleet.balancer.count('wredis')}")
        seconds = truth.rest(fleet.system)
        faults = truth.faults(fleet.system, journal, dead_letters=noticed)
        show("fault", faults)
        self.say(f"all orders ended after {seconds:.0f} s, {len(faults)} faults in the databases")
        return not faults and (noticed or not journal.failures)

    def loaded(self, fleet, do, **how):
        """Runs do() under load."""
        load = fleet.load(clients=self.options.clients, **how)
        try:
            harness.eventually(lambda: load.count() > 20 * self.options.clients)
            do()
            after = load.count()
            harness.eventually(lambda: load.count() > after + 20 * self.options.clients)
        finally:
            journal = load.stop()
        return journal

    def rolled(self, fleet, words, **how):
        self.say(words)
        began = time.monotonic()
        fleet.roll(**how)
        self.say(f"  took {time.monotonic() - began:.0f} s")

    def restart(self, parts, settings, kill=False):
        if kill:  # it uses up the receives of messages, which become dead letters; what they tell is published again
            settings = {"RECONCILE_AFTER": "10s"} | settings
        with fleets.Fleet(parts, self.options.replicas, **settings) as fleet:
            def rounds():
                for number in range(1, self.options.rounds + 1):
                    self.rolled(fleet, f"round {number}: {'killing and ' if kill else 're'}starting each of {len(fleet.all())} replicas",
                                kill=kill)
            journal = self.loaded(fleet, rounds)
            return self.report(fleet, journal, "kill" if kill else "restart", noticed=kill)

    def upgrade(self, parts, settings):
        old, new = fleets.programs(self.options.old), None
        with fleets.Fleet(parts, self.options.replicas, use=old, **settings) as fleet:
            new = {"order-svc": harness.ORDER_SVC, "delivery-svc": harness.DELIVERY_SVC}

            def there_and_back():
                self.say("migrating, while the old release runs")
                fleet.migrate(new)
                for number in range(1, self.options.rounds + 1):
                    self.rolled(fleet, f"round {number}: old to new, delivery-svc", services=["delivery-svc"], use=new)
                    self.rolled(fleet, f"round {number}: old to new, order-svc", services=["order-svc"], use=new)
                    self.rolled(fleet, f"round {number}: back to old, order-svc", services=["order-svc"], use=old)
                    self.rolled(fleet, f"round {number}: back to old, delivery-svc", services=["delivery-svc"], use=old)
                self.rolled(fleet, "old to new, for good", services=["delivery-svc", "order-svc"], use=new)
            journal = self.loaded(fleet, there_and_back, cancels=False)
            return self.report(fleet, journal, "upgrade")

    def kill(self, parts, settings):
        return self.restart(parts, settings, kill=True)

    def idle(self, parts, settings):
        """Daemons close connections that were idle for as long as clients pause, so often in the moment of a request."""
        with fleets.Fleet(parts, self.options.replicas, **{"HTTP_TIMEOUT": "1s"} | settings) as fleet:
            self.say(f"{self.options.rounds} minutes with connections that are closed when they were idle for a second")
            journal = self.loaded(fleet, lambda: time.sleep(60 * self.options.rounds), pause=(0.95, 1.3), hurry=False)
            return self.report(fleet, journal, "idle", noticed=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["restart", "kill", "upgrade", "idle"])
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--old")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    parts = harness.PrivateParts()
    try:
        good = getattr(Run(options), options.what)(parts, dict(one.split("=", 1) for one in options.set))
    finally:
        parts.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
