#!/usr/bin/env python3
"""Measures how fast one order-svc delivers events to webhooks, whose receiver is a bare libmicrohttpd on this machine.

Usage: build/venv/bin/python scripts/measure-webhooks.py [DELIVERIES]
Starts parts and a daemon of its own. It needs build/release with -DBENCH=ON (scripts/bench.sh builds it). Fails when a case
stays below 1000 deliveries per second.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/bench"))

import lab as tools  # noqa: E402 (found through the line above)
from lab import harness  # noqa: E402

ROUNDS = 3
GOAL = 1000
WEBHOOKS = (1, 4, 20)  # that share the deliveries
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def rate(lab, webhooks, deliveries):
    """Deliveries per second. They wait first, and then the webhooks are enabled."""
    with lab.bare(ANSWER) as receiver, lab.orders(**tools.AWAY, WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8") as system:
        api = system.client(scope="webhook:manage order:create order:read")
        hooks = [api.post("/webhooks", {"url": f"{receiver}/{n}", "enabled": False}).json()["id"] for n in range(webhooks)]
        waiting = "SELECT count(*) FROM webhook_deliveries WHERE next_at IS NOT NULL"
        while system.query("SELECT count(*) FROM orders")[0][0] < deliveries / webhooks:
            lab.post(system, 64 if deliveries / webhooks > 5000 else 2, 1)
        orders, = system.query("SELECT count(*) FROM orders")[0]
        harness.eventually(lambda: system.query(waiting) == [(orders * webhooks,)], what="all deliveries")
        system.query("VACUUM ANALYZE")
        for hook in hooks:
            assert api.request("PATCH", f"/webhooks/{hook}", json={"enabled": True}).status_code == 200
        begin, first = time.monotonic(), orders * webhooks
        while (left := system.query(waiting)[0][0]) > first - deliveries:
            time.sleep(0.02)
        seconds = time.monotonic() - begin
        assert system.query("SELECT max(attempts) FROM webhook_deliveries") == [(1,)]
        return (first - left) / seconds


def main():
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    lab, good = tools.Lab(ROUNDS, 1), True
    try:
        for webhooks in WEBHOOKS:
            rates = sorted(rate(lab, webhooks, deliveries) for _ in range(ROUNDS))
            print(f"{webhooks:3} webhook(s): {rates[ROUNDS // 2]:6.0f} deliveries/s ({rates[0]:.0f} to {rates[-1]:.0f})",
                  flush=True)
            good &= rates[ROUNDS // 2] >= GOAL
    finally:
        lab.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
