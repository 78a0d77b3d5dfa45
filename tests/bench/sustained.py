"""The rate that the whole system keeps up, from POST to DELIVERED, with the parts as start-services.sh starts them, and with a
broker that costs nothing."""

import collections
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import lab as tools
from lab import harness
from table import Row

SHARDS = re.search(r"QUEUE_SHARDS=(\d+)", (tools.ROOT / "scripts/start-services.sh").read_text()).group(1)
RATES = (10, 100, 200, 300, 450, 600, 800, 1000, 1500)  # orders/s, tried in turn
FAST_RATES = (500, 1000, 1500, 2000, 2500, 3000)
CLIENTS, LOAD_THREADS = 128, 2
BEHIND = 5  # seconds of orders may be on their way when the time is over
EARLY = 1 / 6  # of the time has passed at the first look
STATE = """
    SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM orders WHERE status = 'DELIVERED'),
           (SELECT count(*) FROM order_outbox), (SELECT count(*) FROM delivery_outbox)"""
LATENCY = """
    SELECT percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM delivered_at - created_at) * 1000)::int[]
      FROM orders WHERE version > 1 AND updated_at > now() - interval '5 seconds' AND delivered_at IS NOT NULL"""
DEAD = """
    SELECT relname, n_dead_tup FROM pg_stat_user_tables
     WHERE relname IN ('orders', 'shipments', 'order_outbox', 'delivery_outbox') ORDER BY 1"""
SERVER = "SELECT xact_commit, (SELECT wal_bytes FROM pg_stat_wal), (SELECT wal_sync FROM pg_stat_wal) FROM pg_stat_database WHERE datname = %s"

Broker = collections.namedtuple("Broker", "name pid settings")  # settings: what the daemons need for it


def used(pid):
    """CPU seconds of a process and of the children it has waited for. 0 when it is gone: then its parent has waited for it."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0
    fields = text.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / tools.TICK


def children(pid):
    return map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def pid_of(parts, name):
    return int(pathlib.Path(parts.folder, f"{name}.pid").read_text().split()[0])


def family(pid):
    """CPU seconds of a process and all its children."""
    return used(pid) + sum(map(used, children(pid)))


def consumption(system, parts, broker):
    """CPU seconds of everything but the load."""
    return {"order-svc": used(system.order.process.pid), "delivery-svc": used(system.delivery.process.pid),
            "PostgreSQL": family(pid_of(parts, "postgres")), broker.name: used(broker.pid),
            "Redis": used(pid_of(parts, "redis"))}


def counts(daemon, metric, label):
    """How often each value of the label was measured."""
    text = urllib.request.urlopen(daemon.metrics_url, timeout=10).read().decode()
    found = collections.Counter()
    for line in re.findall(rf"^{metric}_count{{.*", text, re.MULTILINE):
        found[re.search(rf'{label}="([^"]*)"', line).group(1)] += int(float(line.rsplit(" ", 1)[1]))
    return found


def work(system, parts):
    """What was asked of the parts, and what that was for PostgreSQL. (Its counters are late by up to a second.)"""
    found = {}
    for daemon, name in ((system.order, "order-svc"), (system.delivery, "delivery-svc")):
        found[f"statements of {name}"] = counts(daemon, "db_client_operation_duration_seconds", "db_query_summary")
        found[f"calls of {name} to the broker"] = counts(daemon, "messaging_client_operation_duration_seconds",
                                                         "messaging_operation_name")
    with parts.connect("postgres") as connection:
        commits, wal, syncs = connection.execute(SERVER, [system.name]).fetchone()
    found["PostgreSQL"] = collections.Counter({"transactions": commits, "bytes of log": int(wal), "syncs of the log": syncs})
    return found


def say(text):
    print(text, file=sys.stderr, flush=True)


def look(system, when):
    """What must not grow."""
    waiting = system.query(STATE)[0]
    latency = system.query(LATENCY)[0][0] or ["-", "-"]
    dead = ", ".join(f"{name} {count:,}" for name, count in system.query(DEAD))
    say(f"    {when}: {tools.memory_mb(system.order.process):.1f} MB order-svc, {tools.memory_mb(system.delivery.process):.1f} MB"
        f" delivery-svc; POST to DELIVERED p50 {latency[0]} ms, p99 {latency[1]} ms; {waiting[0] - waiting[1]:,} on their way,"
        f" {waiting[2]:,} + {waiting[3]:,} in the outboxes; dead rows: {dead}")


def per_order(before, after, orders):
    for what, now in after.items():
        each = {name: (count - before[what][name]) / orders for name, count in now.most_common()}
        listed = ", ".join(f"{name} {count:,.3f}" for name, count in each.items() if count >= 0.002)
        total = "" if what == "PostgreSQL" else f"{sum(each.values()):.2f}: "
        say(f"    {what}, per order: {total}{listed}")


def keeps_up(lab, parts, rate, seconds, broker):
    """Orders at this rate for so long. Returns the rate that was reached, and whether it was the wanted one and nothing was left
    behind."""
    settings = {**tools.SETTINGS, "CARRIER_SIMULATION": "true"}
    with harness.System(parts.with_settings(**broker.settings), **settings) as system:
        system.start()
        path = lab.folder / "request"
        path.write_bytes(tools.order_request(system))
        asked, before, began = work(system, parts), consumption(system, parts, broker), time.monotonic()
        command = tools.wrk_command(system.order.url, CLIENTS, seconds, path)
        environment = os.environ | {"PACE_MS": str(1000 * LOAD_THREADS / rate)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            time.sleep(seconds * EARLY)
            look(system, "early")
            output = process.stdout.read()
        tools.check(process.returncode == 0, "wrk failed")
        load = tools.good_load(output)
        orders, delivered, *outboxes = system.query(STATE)[0]
        took = time.monotonic() - began
        costs = {name: (now - before[name]) / orders * 1e6 for name, now in consumption(system, parts, broker).items()}
        look(system, "late")
        per_order(asked, work(system, parts), orders)
        behind = orders - delivered
        say(f"{load.rate:,.0f} of {rate:,} orders/s for {took:.0f} s: {behind:,} not delivered, outboxes {outboxes},"
            f" p99 {load.p99_us / 1000:.0f} ms; CPU time per order " + ", ".join(f"{name} {cost:,.0f} us" for name, cost in costs.items()))
        kept = behind <= BEHIND * load.rate and max(outboxes) <= BEHIND * load.rate
        return load.rate if kept else 0, kept and load.rate > 0.95 * rate


def highest(lab, rates, seconds, brokers):
    """The highest of the rates that is kept up. brokers: a context that gives the broker, with the parts of its own."""
    reached, parts = 0, harness.PrivateParts()
    try:
        with brokers(parts) as broker:
            for rate in rates:
                got, kept = keeps_up(lab, parts, rate, seconds, broker)
                reached = max(reached, got)
                if not kept:
                    break
    finally:
        parts.close()
    tools.check(reached, "not even the lowest rate was kept up")
    return reached


@contextlib.contextmanager
def elasticmq(parts):
    yield Broker("ElasticMQ", pid_of(parts, "elasticmq"), {"QUEUE_SHARDS": SHARDS})


@contextlib.contextmanager
def memory_sqs(parts):
    parts.stop("elasticmq")
    with subprocess.Popen([tools.BUILD / "tests/bench/memory_sqs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        yield Broker("memory_sqs", process.pid, {"SQS_ENDPOINT": f"http://127.0.0.1:{port}", "RELAY_CALLS": "4"})
        process.stdin.close()


def duration(lab):
    """Ten minutes for each rate (one with --quick, in which the history of deduplication ids of five minutes is not yet full)."""
    return 60 if lab.rounds < 5 else 600


def sustained(lab):
    seconds = duration(lab)
    reached = highest(lab, RATES, seconds, elasticmq)
    return [Row(f"sustained for {seconds // 60} min, POST to DELIVERED, settings of start-services.sh", "", "orders/s", [reached], None, 300, 1000)]


def flow(lab):
    seconds = duration(lab)
    reached = highest(lab, FAST_RATES, seconds, memory_sqs)
    return [Row(f"the same for {seconds // 60} min, with a broker that costs nothing", "", "orders/s", [reached], None, 1500, 3000)]
