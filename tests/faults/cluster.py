"""Runs the system on PostgreSQL under Patroni, with faults of the cluster that a seed selects. Then it checks every promise.

Usage: cluster.py --seed N --duration SECONDS --mode direct|haproxy|pooler [--async] [--strict] [--only REGEX]
The daemons are those of ORDER_SVC and DELIVERY_SVC. Exits with 1 when a promise was broken.
"""

import argparse
import asyncio
import functools
import signal
import sys

import run  # first: it finds the modules below

import clients
import cluster_faults
import harness
import losses
import patroni_cluster
import psycopg
import stage as stages
import test_metrics

# A consumer that waits for the database extends the timeout after half of it, but first its statement must have failed.
SETTINGS = {"SQS_VISIBILITY_TIMEOUT": "15s"}
BEAT = 0.1  # seconds between two orders of the pulse
MOST = 100  # orders of the pulse under way


class ClusterParts(harness.PrivateParts):
    """PostgreSQL under Patroni, Redis and ElasticMQ."""

    def __init__(self, options, add_link):
        self.mode, self.synchronous = options.mode, not options.asynchronous
        self.cluster = patroni_cluster.Cluster(add_link)
        try:
            # Without synchronous standbys, more may be lost than Patroni allows by itself.
            more = {} if self.synchronous else {"maximum_lag_on_failover": 1 << 30}
            self.cluster.start(synchronous_mode=self.synchronous, synchronous_mode_strict=options.strict, **more)
            hosts = ",".join([patroni_cluster.LOCAL] * len(self.cluster.nodes))
            ports = ",".join(str(node.port) for node in self.cluster.nodes)
            way = {"direct": {"DB_HOST": hosts, "DB_PORT": ports},
                   "haproxy": {"DB_HOST": patroni_cluster.LOCAL, "DB_PORT": str(self.cluster.port)},
                   "pooler": {"DB_HOST": patroni_cluster.LOCAL, "DB_PORT": str(self.cluster.pooler_port),
                              "DB_POOLER": "transaction", "DB_DIRECT_HOST": hosts, "DB_DIRECT_PORT": ports}}
            self.elsewhere = {"DB_READ_HOST": hosts, "DB_READ_PORT": ports, "DB_USER": patroni_cluster.USER,
                              "DB_PASSWORD": patroni_cluster.PASSWORD, **way[self.mode]}
            super().__init__()
        except BaseException:
            self.cluster.close()
            raise

    def _script(self, command, *names):
        super()._script(command, *(names or ("redis", "elasticmq")))

    def connect(self, database, **options):
        """To the node that Patroni calls the primary."""
        primary = self.cluster.primary()
        if primary is None:
            raise psycopg.OperationalError("there is no primary")
        return psycopg.connect(host=patroni_cluster.LOCAL, port=primary.port, user=patroni_cluster.USER,
                               password=patroni_cluster.PASSWORD, dbname=database, autocommit=True, **options)

    def start(self, *names):
        super().start(*names)
        if not names:
            self.cluster.heal()

    def close(self):
        try:
            super().close()
        finally:
            self.cluster.close()


class Pulse(clients.Shop):
    """Orders again and again, whatever became of the last one: so it is seen when orders can be made."""

    def __init__(self, stage, journal, seed):
        super().__init__(stage, journal, seed, clients.CLIENTS)

    async def live(self):
        under_way = set()
        while not self.stopping:
            await asyncio.sleep(BEAT)
            if len(under_way) < MOST:
                order = self.new_order()
                order.wanted = False
                task = asyncio.create_task(self.send_and_note(order))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)


def standby_reads(stage):
    """How many there were, by their outcome."""
    daemons = [replica.daemon for replica in stage.replicas_of("order")]
    return {outcome: sum(test_metrics.value(daemon, "orders_standby_reads_total", outcome=outcome) or 0 for daemon in daemons)
            for outcome in ("answered", "behind", "failed")}


def print_outages(outages):
    print("\nWithout new orders, in seconds: all, until Patroni named a primary, from then on; primary before -> after")
    for outage in sorted(outages):
        times = "".join(f"{'-' if value is None else format(value, '.1f'):>8}"
                        for value in (outage.lasted, outage.patroni, outage.after))
        print(f"  {outage.kind:<32}{times}   {outage.primaries}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--duration", type=int, required=True)
    parser.add_argument("--mode", choices=("direct", "haproxy", "pooler"), default="direct")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="standbys may lag, and lose what was answered")
    parser.add_argument("--strict", action="store_true", help="synchronous_mode_strict")
    parser.add_argument("--keep-logs", action="store_true", help="also when no promise was broken")
    parser.add_argument("--only", default="", help="only faults whose kind matches this expression")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to stop what was started
    stage, outages, lost = stages.Stage(functools.partial(ClusterParts, options), **SETTINGS), [], []

    async def play(journal, disorders):
        done, measured, found = await cluster_faults.play(stage, options.seed, options.duration, options.only, journal, disorders)
        outages.extend(measured)
        lost.extend(found)
        return done

    def check(_journal, findings):
        losses.check(lost, stage.system, findings)
        reads = standby_reads(stage)
        print(f"reads that standbys were to answer: {reads}")
        findings.fail("standbys answer readers", [] if reads["answered"] else ["none was answered"])

    repeat = f"scripts/run-scale.sh cluster --seed {options.seed} --duration {options.duration} --mode {options.mode}"
    try:
        violations = run.execute(stage, options.seed, play, repeat + " --async" * options.asynchronous, more=(Pulse,), check=check)
        print_outages(outages)
        if lost:
            print(losses.describe(lost, stage.system))
        if violations or options.keep_logs:
            stage.keep_logs = True
            print(f"cluster: {stage.parts.cluster.keep_logs(stage.system.folder)}")
    except BaseException:
        stage.keep_logs = True
        print(f"logs: {stage.parts.cluster.keep_logs(stage.system.folder)}")
        raise
    finally:
        stage.close()
    sys.exit(violations > 0)


if __name__ == "__main__":
    main()
