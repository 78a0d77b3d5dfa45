"""The faults of a cluster under Patroni: how each is injected, and how long nothing was written."""

import asyncio
import bisect
import collections
import random
import re
import threading
import time
import typing

import losses
from harness import eventually
from patroni_cluster import HEALING

TTL = 20  # of deploy/patroni/patroni.yml: who is silent for so long is not the primary any more
LONG = TTL + 15  # longer than that, and than what a failover takes
SHORT = 1
CALM = (3, 6)  # seconds before a fault
LOOK = 0.1  # seconds between two looks at Patroni
BUT_WAIT = 2  # seconds until Patroni has noticed a fault that it repairs by itself


class Outage(typing.NamedTuple):
    kind: str
    lasted: float | None  # the longest time without a new order, in seconds
    patroni: float | None  # until Patroni named a primary again
    after: float | None  # from then to the first new order
    primaries: str  # before and after


class Watch:
    """Notes which node Patroni calls the primary. Each is asked by a thread of its own, as one that is frozen keeps it waiting."""

    def __init__(self, cluster):
        self.seen, self.ending = [], threading.Event()  # (monotonic time, name of the node, whether it is the primary)
        self.threads = [threading.Thread(target=self.look, args=(node,), daemon=True) for node in cluster.nodes]
        for thread in self.threads:
            thread.start()

    def look(self, node):
        before = None
        while not self.ending.wait(LOOK):
            asked, primary = time.monotonic(), node.is_primary()
            if primary != before:
                self.seen.append((time.monotonic() if primary else asked, node.name, primary))
            before = primary

    def named(self, began, ended):
        """When a node first became the primary within this time. None when nothing changed."""
        return min((at for at, _, primary in self.seen if primary and began <= at <= ended), default=None)

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


def cut(stage, links):
    for link in links:
        stage.proxy.fault(link, "blackhole", "both")


def of_users(link, node, mode):
    """Whether the link leads from a daemon or from HAProxy to the node."""
    to_nodes = {"direct": "postgres", "haproxy": None, "pooler": "direct"}[mode]
    number = "abc".index(node.name) or ""
    return re.fullmatch(rf"\w+-\d:{to_nodes}{number}", link) is not None or link.startswith(f"haproxy:{node.name}-")


class Faults:
    """Each method is a kind of fault. It returns when the fault has ended, and the cluster may heal."""

    def __init__(self, stage, journal):
        self.stage, self.cluster, self.journal, self.losses = stage, stage.parts.cluster, journal, []

    def kill_postmaster(self, primary):
        """Patroni starts it again."""
        primary.kill_postmaster()
        time.sleep(BUT_WAIT)

    def lose_machine(self, primary):
        """PostgreSQL and Patroni end, and come back after the failover."""
        primary.kill_all()
        time.sleep(LONG)
        primary.start()

    def freeze_machine(self, primary):
        """It wakes up when another one is the primary."""
        primary.freeze()
        time.sleep(LONG)
        primary.thaw()
        time.sleep(BUT_WAIT)

    def kill_patroni(self, primary):
        """Its PostgreSQL runs on, and so does the system's manager, which starts Patroni again."""
        primary.kill()
        time.sleep(SHORT)
        primary.start()

    def lose_patroni(self, primary):
        """Nobody starts Patroni again for long. Its PostgreSQL runs on, beside the new primary."""
        primary.kill()
        time.sleep(LONG)
        primary.start()
        time.sleep(BUT_WAIT)

    def _part(self, links):
        cut(self.stage, links)
        time.sleep(LONG)
        for link in links:
            self.stage.proxy.heal(link)
        time.sleep(BUT_WAIT)

    def part_primary(self, primary):
        """From everybody."""
        own = [link for link in self.stage.links if of_users(link, primary, self.stage.parts.mode)]
        self._part([*primary.links, *own])

    def part_primary_from_cluster(self, primary):
        """From etcd and the standbys, while the daemons and HAProxy still reach it."""
        self._part([*primary.links])

    def lose_tail(self, primary):
        """The standbys get nothing more, then the machine of the primary is lost. What it had committed meanwhile is gone."""
        began, replication = time.monotonic(), f"{primary.name}:postgres"
        cut(self.stage, [replication])
        time.sleep(self.stage.rng.uniform(2, 5))
        primary.kill_all()
        self.stage.proxy.fault(replication, "reset", "both")  # what is on its way is lost
        self.stage.proxy.heal(replication)
        eventually(self.cluster.primary, HEALING, "another primary")
        self.losses.append(losses.Loss(self.stage, primary, began, self.journal))
        self.losses[-1].examine()
        primary.start()

    def switch_over(self, _primary):
        self.cluster.switch_over()

    def lose_standby(self, _primary):
        """The synchronous one, where there is one."""
        standby = self.cluster.sync_standby() or next(n for n in self.cluster.nodes if n is not self.cluster.primary())
        standby.kill_all()
        time.sleep(10)
        standby.start()

    def lose_etcd(self, _primary):
        """One of three."""
        etcd = self.stage.rng.choice(self.cluster.etcds)
        etcd.kill()
        time.sleep(10)
        etcd.start()

    def lose_quorum(self, _primary):
        """Two of three etcd: Patroni lets go of the primary until they are back."""
        for etcd in self.cluster.etcds[:2]:
            etcd.kill()
        time.sleep(LONG)
        for etcd in self.cluster.etcds[:2]:
            etcd.start()
        time.sleep(BUT_WAIT)

    def restart_haproxy(self, _primary):
        self.cluster.haproxy.kill()
        self.cluster.haproxy.start()

    def restart_pooler(self, _primary):
        self.cluster.pooler.kill()
        self.cluster.pooler.start()

    def kinds(self):
        names = [name for name in vars(Faults) if not name.startswith("_") and name != "kinds"]
        if self.stage.parts.mode == "direct":
            names.remove("restart_haproxy")
        if self.stage.parts.mode != "pooler":
            names.remove("restart_pooler")
        if self.stage.parts.synchronous:
            names.remove("lose_tail")
        return names


class Measure:
    """How long no new order was answered."""

    def __init__(self, journal, watch):
        self.journal, self.watch = journal, watch

    def made(self):
        """When new orders were answered. A replay may come from Redis, and is no write."""
        return sorted(answer.came for order in self.journal.orders for answer in order.answers
                      if "idempotent-replayed" not in answer.headers)

    def outage(self, kind, began, ended, primaries):
        made, named = self.made(), self.watch.named(began, ended)
        first, last = bisect.bisect_left(made, began), bisect.bisect_left(made, ended)
        gaps = list(zip(made[max(0, first - 1):last], made[first:last + 1], strict=False))
        start, end = max(gaps, key=lambda gap: gap[1] - gap[0], default=(began, ended))
        return Outage(kind, end - start, named - began if named else None, end - named if named and end > named else None, primaries)


async def play(stage, seed, duration, only, journal, disorders):
    """Injects faults, one after the other, each when the cluster has healed. Returns their numbers, the outages, and what was
    lost."""
    rng, faults, done, outages = random.Random(seed), Faults(stage, journal), collections.Counter(), []
    stage.rng, cluster, watch = rng, stage.parts.cluster, Watch(stage.parts.cluster)
    kinds = [kind for kind in faults.kinds() if re.search(only, kind)]
    end, waiting = time.monotonic() + duration, []
    while time.monotonic() < end:
        waiting = waiting or rng.sample(kinds, len(kinds))
        kind = waiting.pop()
        await asyncio.sleep(rng.uniform(*CALM))
        try:
            primary = await asyncio.to_thread(cluster.primary)
            began, clock = time.monotonic(), time.time()
            await asyncio.to_thread(getattr(faults, kind), primary)
            await asyncio.to_thread(eventually, cluster.is_well, HEALING, "a cluster that is well")
            await asyncio.sleep(CALM[0])
            after = await asyncio.to_thread(cluster.primary)
            stage.troubles.append((kind, clock, time.time()))
            if not stage.parts.synchronous and after is not primary:
                stage.losses.append((began - 1, time.monotonic(), clock - 1, time.time()))
            outages.append(Measure(journal, watch).outage(kind, began, time.monotonic(), f"{primary.name} -> {after.name}"))
            print(outages[-1], flush=True)
            done[kind] += 1
        except Exception as error:
            disorders.append(f"{kind}: {type(error).__name__} {error}")
            await asyncio.to_thread(cluster.heal)
            if not stage.parts.synchronous:
                stage.losses.append((began - 1, time.monotonic(), clock - 1, time.time()))
    await asyncio.to_thread(watch.end)
    return done, outages, faults.losses
