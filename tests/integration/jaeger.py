"""One order, as Jaeger shows it. Run by scripts/test-jaeger.sh, since Jaeger takes minutes to build."""

import os
import uuid

import requests
from harness import System, eventually

TREE = {  # a span -> its parent
    ("order-service", "wait for a worker"): "POST /orders",
    ("order-service", "batch POST /orders"): "POST /orders",
    ("order-service", "send ORDERS"): "POST /orders",
    ("delivery-service", "process ORDERS"): "send ORDERS",
    ("delivery-service", "create shipments"): "process ORDERS",
    ("delivery-service", "carrier step"): "process ORDERS",
    ("delivery-service", "send STATUS"): "carrier step",
    ("order-service", "process STATUS"): "send STATUS",
    ("order-service", "update orders"): "process STATUS",
}


def test_jaeger_shows_one_order_as_one_trace(parts):
    jaeger = os.environ["JAEGER_URL"]
    with System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]) as system:
        system.start()
        trace = uuid.uuid4().hex
        order_id = system.client().created(headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        eventually(lambda: system.client().order(order_id)["status"] == "DELIVERED")
        for daemon in system.daemons:
            daemon.stop()  # sends what is left

        def fetch():
            answer = requests.get(f"{jaeger}/api/traces/{trace}", timeout=10)
            found = answer.json()["data"] if answer.ok else None
            return found and len(found[0]["spans"]) >= 14 and found[0]

        found = eventually(fetch, what="the trace in Jaeger")
        short = {system.settings["ORDERS_QUEUE"]: "ORDERS", system.settings["DELIVERY_STATUS_QUEUE"]: "STATUS"}
        names, tree = {}, {}
        for span in found["spans"]:
            head, _, last = span["operationName"].rpartition(" ")
            names[span["spanID"]] = f"{head} {short.get(last, last)}".strip()
        for span in found["spans"]:
            service = found["processes"][span["processID"]]["serviceName"]
            parents = [names.get(r["spanID"]) for r in span["references"] if r["refType"] == "CHILD_OF"]
            tree[service, names[span["spanID"]]] = parents[0] if parents else None
        assert tree.pop(("order-service", "POST /orders")) is None  # its parent is the caller's
        assert tree == TREE
        services = requests.get(f"{jaeger}/api/services", timeout=10).json()["data"]
        assert {"order-service", "delivery-service"} <= set(services)
