"""A Prometheus that watches a run with the alerts of deploy/observability: which fire, during which faults, and until when."""

import collections
import contextlib
import time
import typing

from harness import eventually
from observer import Prometheus

STEP = 2  # seconds between two looks at the past
BEFORE = 15  # an alert may begin so many seconds after the fault that causes it: daemons are asked every few seconds
# Seconds until an alert must have ended: more than it looks back, as a machine may be busy.
ENOUGH = 240
LOOK_BACK = {"ErrorBudgetBurnsFast": 480, "RevocationsLate": 480, "LogLinesDropped": 480, "SeriesDropped": 480,
             "ErrorBudgetBurnsSlowly": 2400}
DEAD_LETTERS = ("ORDERS_DLQ", "DELIVERY_STATUS_DLQ")  # that somebody has to redrive or purge


class Episode(typing.NamedTuple):
    alert: str
    began: float  # its condition; these are seconds since 1970
    fired: float
    ended: float


class Watch:
    """Started by `with`."""

    def __init__(self, stage):
        self.stage, self.began = stage, time.time()
        addresses = {service: [replica.daemon.metrics_url.split("/")[2] for replica in stage.replicas_of(service)]
                     for service in ("order", "delivery")}
        self.prometheus = Prometheus(order_svc=addresses["order"], delivery_svc=addresses["delivery"])

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.prometheus)
            eventually(lambda: len(self.prometheus.query("up == 1")) == 1 + len(self.stage.replicas), what="all targets")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *why):
        return self.stack.__exit__(*why)

    def await_silence(self):
        """Does what an operator does with dead letters, then waits until no alert fires. Returns those that stay on."""
        system, start = self.stage.system, time.monotonic()
        for knob in DEAD_LETTERS:
            system.sqs.purge_queue(QueueUrl=system.queue_url(knob))
        while True:
            waited, firing = time.monotonic() - start, self.prometheus.firing()
            late = [f"{alert} still fires after {waited:.0f} s: {summary}" for alert, summary in firing.items()
                    if waited > LOOK_BACK.get(alert, ENOUGH)]
            if late or not firing:
                return late
            time.sleep(1)

    def episodes(self):
        """All times that an alert fired, in their order."""
        step = max(STEP, (time.time() - self.began) / 10000)  # Prometheus answers 11,000 points at most
        found = self.prometheus.ask("query_range", query="max by (alertname, alertstate) (ALERTS)", start=self.began,
                                    end=time.time(), step=step)["result"]
        states = collections.defaultdict(dict)
        for series in found:
            for at, _ in series["values"]:
                name, fires = series["metric"]["alertname"], series["metric"]["alertstate"] == "firing"
                states[name][at] = fires or states[name].get(at, False)
        episodes = []
        for alert, by_time in states.items():
            for run in consecutive(sorted(by_time), 2 * step):
                firing = [at for at in run if by_time[at]]
                if firing:
                    episodes.append(Episode(alert, run[0], firing[0], firing[-1]))
        return sorted(episodes, key=lambda episode: episode.fired)

    def by_fault(self, episodes):
        """The kinds of faults and their number, each with the alerts that began during faults of this kind."""
        numbers, alerts = collections.Counter(), collections.defaultdict(collections.Counter)
        for kind, began, ended in self.stage.troubles:
            numbers[kind] += 1
            for episode in episodes:
                if began <= episode.fired and ended >= episode.began - BEFORE:
                    alerts[kind][episode.alert] += 1
        return [(kind, number, alerts[kind]) for kind, number in sorted(numbers.items())]

    def print(self):
        episodes = self.episodes()
        print("\nAlerts: when they fired, and for how long")
        for episode in episodes:
            print(f"  {episode.alert:<48}{episode.fired - self.began:>8.0f} s{episode.ended - episode.fired:>8.0f} s")
        print("\nAlerts that began during faults (others may have been at work as well)")
        for kind, number, alerts in self.by_fault(episodes):
            words = ", ".join(f"{alert} {count}" for alert, count in sorted(alerts.items()))
            print(f"  {number:>3} {kind:<44}{words or '-'}")


def consecutive(times, most):
    """Cuts sorted times into runs without a gap of more than most seconds."""
    runs = []
    for at in times:
        if runs and at - runs[-1][-1] <= most:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs
