"""Half an hour at one rate of orders: nothing grows but what is kept."""

import os
import subprocess
import time

import lab as tools
import sustained
from lab import harness
from table import Row

RATE = int(os.environ.get("SOAK_RATE", "1500"))  # orders/s
MINUTE = 60
KEYS_TTL = "1m"
SIZES = "SELECT relname, pg_total_relation_size(oid) / 1024 FROM pg_class WHERE relname IN ('order_outbox', 'delivery_outbox', 'idempotency_keys')"


def files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def minute(system, command, environment):
    """Orders for a minute. Returns what must stay as it is."""
    load = tools.good_load(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)
    tools.check(load.rate > 0.95 * RATE, f"only {load.rate:,.0f} orders/s were taken")
    time.sleep(2)  # until the connections of the load have ended
    seen = {("POST /orders, p99", "ms"): load.p99_us / 1000}
    for name, daemon in (("order-svc", system.order), ("delivery-svc", system.delivery)):
        seen[f"memory of {name}", "MB"] = tools.memory_mb(daemon.process)
        seen[f"open files of {name}", "files"] = files(daemon.process)
    seen |= {(f"table {name} with its indexes", "KB"): size for name, size in system.query(SIZES)}
    waiting = system.query(sustained.STATE)[0]
    sustained.say(f"    {load.rate:,.0f} orders/s, {waiting[0] - waiting[1]:,} not delivered; " +
                  ", ".join(f"{what} {value:,.0f} {unit}" for (what, unit), value in sorted(seen.items())))
    return seen


def soak(lab):
    """Thirty minutes (six with --quick) with a broker that costs nothing. The last third against the first one."""
    third = 10 if lab.rounds >= 5 else 2
    settings = {**tools.SETTINGS, "CARRIER_SIMULATION": "true", "IDEMPOTENCY_TTL": KEYS_TTL}
    parts = harness.PrivateParts()
    try:
        with sustained.memory_sqs(parts) as broker, harness.System(parts.with_settings(**broker.settings), **settings) as system:
            system.start()
            path = lab.folder / "request"
            path.write_bytes(tools.order_request(system))
            command = tools.wrk_command(system.order.url, sustained.CLIENTS, MINUTE, path)
            environment = os.environ | {"PACE_MS": str(1000 * sustained.LOAD_THREADS / RATE)}
            minutes = [minute(system, command, environment) for _ in range(1 + 3 * third)][1:]  # plans and caches begin in the first
    finally:
        parts.close()
    return [Row(f"{what}, {RATE:,} orders/s for {3 * third} min, last third", "first third", unit, [m[what, unit] for m in minutes[-third:]],
                [m[what, unit] for m in minutes[:third]], 1.5, 1.1, less=True) for what, unit in sorted(minutes[0])]
