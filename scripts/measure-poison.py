#!/usr/bin/env python3
"""Measures how fast order-svc works off a full queue of status changes: good messages alone, and with poison among them.

Usage: build/venv/bin/python scripts/measure-poison.py [MESSAGES]
Starts parts and a daemon of its own (ORDER_SVC, else build/release). With poison, for every ten good messages there is
one that is hopeless and one about an unknown order, which is retried until it is a dead letter. Fails when less than 80 %
of the rate is left to the good ones.
"""

import os
import pathlib
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("ORDER_SVC", str(ROOT / "build/release/order-svc"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import harness  # noqa: E402 (found through the line above)

ROUNDS = 3  # of each kind, by turns: other work on the machine comes and goes


def fill(system, order_ids, poison):
    messages = [(harness.status_update(order_id), order_id) for order_id in order_ids]
    if poison:
        for i in range(0, len(messages) * 12 // 10, 12):
            stranger = str(uuid.uuid4())
            messages[i:i] = [("hopeless", stranger), (harness.status_update(stranger), stranger)]
    for body, group in messages:
        system.send("DELIVERY_STATUS_QUEUE", body, group)
    return len(messages) - len(order_ids)


def rate(system, count, poison):
    """Good messages a second."""
    system.order.start()
    order_ids = [system.client().created() for _ in range(count)]
    system.order.stop()
    dead = fill(system, order_ids, poison)
    shipped, start, done = "SELECT count(*) FROM orders WHERE id = ANY(%s::uuid[]) AND status = 'SHIPPED'", None, 0
    system.order.launch()
    with system.parts.connect(system.name) as connection:
        while done < count:
            (done,), = connection.execute(shipped, (order_ids,)).fetchall()
            if done and start is None:
                start, first = time.monotonic(), done
            time.sleep(0.01)
        end = time.monotonic()
    system.receive("DELIVERY_STATUS_DLQ", dead)
    system.order.stop()
    return (count - first) / (end - start)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    parts = harness.PrivateParts()
    try:
        with harness.System(parts) as system:
            system.order_svc()
            alone, among = [], []
            for _ in range(ROUNDS):
                alone.append(rate(system, count, poison=False))
                among.append(rate(system, count, poison=True))
    finally:
        parts.close()
    left = 100 * sum(among) / sum(alone)
    print(f"good messages alone: {sum(alone) / ROUNDS:.0f}/s; with a poisoned one for every five: "
          f"{sum(among) / ROUNDS:.0f}/s, {left:.0f} % ({ROUNDS} rounds of {count} each, "
          f"load average {os.getloadavg()[0]:.1f})")
    sys.exit(left < 80)


if __name__ == "__main__":
    main()
