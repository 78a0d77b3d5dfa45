"""The rate that the whole system keeps up, from POST to DELIVERED, with the parts as start-services.sh starts them."""

import os
import pathlib
import re
import subprocess
import sys
import time

import lab as tools
from lab import harness
from table import Row

SHARDS = re.search(r"QUEUE_SHARDS=(\d+)", (tools.ROOT / "scripts/start-services.sh").read_text()).group(1)
RATES = (100, 200, 300, 450, 600, 800, 1000, 1500)  # orders/s, tried in turn
CLIENTS = 64
BEHIND = 5  # seconds of orders may be on their way when the time is over
STATE = """
    SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM orders WHERE status = 'DELIVERED'),
           (SELECT count(*) FROM order_outbox), (SELECT count(*) FROM delivery_outbox)"""


def used(pid):
    """CPU seconds of a process and of the children it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / tools.TICK


def children(pid):
    return map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def consumption(system, parts):
    """CPU seconds of everything but the load."""
    pid = {name: int(pathlib.Path(parts.folder, f"{name}.pid").read_text().split()[0]) for name in ("postgres", "elasticmq", "redis")}
    return {"order-svc": used(system.order.process.pid), "delivery-svc": used(system.delivery.process.pid),
            "PostgreSQL": used(pid["postgres"]) + sum(map(used, children(pid["postgres"]))),
            "ElasticMQ": used(pid["elasticmq"]), "Redis": used(pid["redis"])}


def keeps_up(lab, parts, rate, seconds):
    """Orders at this rate for so long. Returns the rate that was reached, or None when something was left behind."""
    with harness.System(parts, **{**tools.SETTINGS, "CARRIER_SIMULATION": "true", "QUEUE_SHARDS": SHARDS}) as system:
        system.start()
        path = lab.folder / "request"
        path.write_bytes(tools.order_request(system))
        before, began = consumption(system, parts), time.monotonic()
        command = tools.wrk_command(system.order.url, CLIENTS, seconds, path)
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                                env=os.environ | {"PAUSE_MS": str(1000 * CLIENTS // rate)}).stdout
        load = tools.good_load(output)
        orders, delivered, *outboxes = system.query(STATE)[0]
        took = time.monotonic() - began
        costs = {name: (now - before[name]) / orders * 1e6 for name, now in consumption(system, parts).items()}
        behind = orders - delivered
        print(f"{load.rate:,.0f} orders/s for {took:.0f} s: {behind:,} not delivered, outboxes {outboxes}, p99 {load.p99_us / 1000:.0f} ms;"
              " CPU time per order " + ", ".join(f"{name} {cost:,.0f} us" for name, cost in costs.items()), file=sys.stderr, flush=True)
        return load.rate if behind <= BEHIND * load.rate and max(outboxes) <= BEHIND * load.rate else None


def sustained(lab):
    """Ten minutes for each rate (one with --quick, in which the queue's history of five minutes is not yet full)."""
    environment = {name: value for name, value in os.environ.items() if name != "_JAVA_OPTIONS"}
    seconds, reached = (60 if lab.rounds < 5 else 600), 0
    parts = harness.PrivateParts(environment)
    try:
        for rate in RATES:
            rate = keeps_up(lab, parts, rate, seconds)
            if not rate:
                break
            reached = rate
    finally:
        parts.close()
    tools.check(reached, "not even the lowest rate was kept up")
    return [Row(f"sustained for {seconds // 60} min, POST to DELIVERED, settings of start-services.sh", "", "orders/s", [reached], None, 300, 1000)]
