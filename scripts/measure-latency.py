#!/usr/bin/env python3
"""Measures how long an order takes to its shipment, and a status change back to the order, on an idle system.

Usage: build/venv/bin/python scripts/measure-latency.py [ROUNDS]
Starts parts and daemons of its own (ORDER_SVC and DELIVERY_SVC, else build/release) and prints milliseconds.
"""

import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("ORDER_SVC", str(ROOT / "build/release/order-svc"))
os.environ.setdefault("DELIVERY_SVC", str(ROOT / "build/release/delivery-svc"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import harness  # noqa: E402 (found through the line above)


def milliseconds_until(connection, sql, key):
    """Polls without a pause: what is measured is a few milliseconds long."""
    start = time.perf_counter()
    while not connection.execute(sql, (key,)).fetchone():
        assert time.perf_counter() < start + harness.PATIENCE, "never came"
    return 1000 * (time.perf_counter() - start)


def measure(system, rounds):
    api, deliveries = system.client(), system.deliveries()
    to_shipment, to_order = [], []
    with system.parts.connect(system.name) as connection:
        for _ in range(rounds):
            order_id = api.created()
            to_shipment.append(milliseconds_until(connection, "SELECT 1 FROM shipments WHERE order_id = %s", order_id))
            shipment = deliveries.shipment(order_id)
            deliveries.move(shipment["id"], "SHIPPED")
            to_order.append(milliseconds_until(
                connection, "SELECT 1 FROM orders WHERE id = %s AND status = 'SHIPPED'", order_id))
    return {"POST /orders answered -> shipment": to_shipment, "status change answered -> order": to_order}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    parts = harness.PrivateParts()
    try:
        with harness.System(parts, CARRIER_SIMULATION="false", LOG_LEVEL="info") as system:
            for name, times in measure(system.start(), rounds).items():
                slow = statistics.quantiles(times, n=100)[98]
                print(f"{name}: median {statistics.median(times):.1f} ms, 99 % {slow:.1f} ms ({rounds} rounds)")
    finally:
        parts.close()


if __name__ == "__main__":
    main()
