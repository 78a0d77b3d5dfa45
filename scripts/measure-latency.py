#!/usr/bin/env python3
"""Measures three delays on an idle system: from an order to its shipment, from a status change to the order, and from
the revocation of a token until the other daemon refuses it.

Usage: build/venv/bin/python scripts/measure-latency.py [ROUNDS]
Starts parts and daemons of its own (ORDER_SVC and DELIVERY_SVC, else build/release) and prints milliseconds.
"""

import os
import pathlib
import statistics
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("ORDER_SVC", str(ROOT / "build/release/order-svc"))
os.environ.setdefault("DELIVERY_SVC", str(ROOT / "build/release/delivery-svc"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import harness  # noqa: E402 (found through the line above)


def milliseconds_until(connection, sql, key):
    """Polls without a pause, because the delay is only a few milliseconds."""
    start = time.perf_counter()
    while not connection.execute(sql, (key,)).fetchone():
        assert time.perf_counter() < start + harness.PATIENCE, "never came"
    return 1000 * (time.perf_counter() - start)


def milliseconds_until_refused(api):
    """Polls without a pause, as a client whose token is revoked."""
    start = time.perf_counter()
    while api.get(f"/delivery/shipment/{uuid.uuid4()}").status_code != 401:
        assert time.perf_counter() < start + harness.PATIENCE, "never refused"
    return 1000 * (time.perf_counter() - start)


def ask(url, **parameters):
    return harness.http("POST", url, data=parameters, auth=("demo-delivery", "demo-delivery-secret"))


def measure(system, rounds):
    api, deliveries = system.client(), system.deliveries()
    to_shipment, to_order, to_refusal = [], [], []
    with system.parts.connect(system.name) as connection:
        for _ in range(rounds):
            order_id = api.created()
            to_shipment.append(milliseconds_until(connection, "SELECT 1 FROM shipments WHERE order_id = %s", order_id))
            shipment = deliveries.shipment(order_id)
            deliveries.move(shipment["id"], "SHIPPED")
            to_order.append(milliseconds_until(
                connection, "SELECT 1 FROM orders WHERE id = %s AND status = 'SHIPPED'", order_id))
            token = ask(api.url + "/auth/token", grant_type="client_credentials").json()["access_token"]
            ask(api.url + "/auth/revoke", token=token)
            to_refusal.append(milliseconds_until_refused(harness.Api(deliveries.url, token)))
    return {"POST /orders answered -> shipment": to_shipment, "status change answered -> order": to_order,
            "POST /auth/revoke answered -> delivery-svc refuses": to_refusal}


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
