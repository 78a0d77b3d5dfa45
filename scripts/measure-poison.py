#!/usr/bin/env python3
"""Measures how fast order-svc processes a full queue of status changes, with and without poison messages among them.

Usage: build/venv/bin/python scripts/measure-poison.py [MESSAGES]
Starts parts and a daemon of its own (ORDER_SVC, else build/release). One message in 25 is poison: not JSON, or about an
unknown order. Fails when good messages keep less than 80 % of their rate with either kind.
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

ROUNDS = 3  # of each kind, in turn, because other work on the machine varies
POISON = {"good messages alone": None, "malformed ones among them": lambda order_id: "malformed",
          "unknown orders among them": harness.status_update}


def fill(system, order_ids, poison):
    """Fills the queue. Returns the number of dead letters to expect."""
    dead = 0
    for i, order_id in enumerate(order_ids):
        if poison and i % 25 == 0:
            stranger = str(uuid.uuid4())
            system.send("DELIVERY_STATUS_QUEUE", poison(stranger), stranger)
            dead += 1
        system.send("DELIVERY_STATUS_QUEUE", harness.status_update(order_id), order_id)
    return dead


def rate(system, count, poison):
    """Returns the rate of good messages per second."""
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
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rates = dict.fromkeys(POISON, 0)
    parts = harness.PrivateParts()
    try:
        with harness.System(parts) as system:
            system.order_svc()
            for _ in range(ROUNDS):
                for name, poison in POISON.items():
                    rates[name] += rate(system, count, poison) / ROUNDS
    finally:
        parts.close()
    alone = rates["good messages alone"]
    for name, good in rates.items():
        print(f"{name:<28} {good:5.0f} good messages/s {100 * good / alone:5.0f} %")
    print(f"({ROUNDS} rounds of {count} each, load average {os.getloadavg()[0]:.1f})")
    sys.exit(min(rates.values()) < 0.8 * alone)


if __name__ == "__main__":
    main()
