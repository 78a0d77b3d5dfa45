"""The lines of requests in the log: which there are, at which level, and that they find an order and its client."""

import concurrent.futures
import time

import pytest
from harness import WAITING, System, eventually, http


def lines(daemon, start):
    return [line for line in daemon.log_lines() if line["body"].startswith(start)]


def test_access_log_leads_to_the_order(parts):
    with System(parts, ACCESS_LOG="true") as system:
        client = system.start().client()
        order_id = client.created(headers={"X-Request-Id": "the-request"})
        line, = eventually(lambda: lines(system.order, "POST /orders 201"))
        assert line["severity_text"] == "INFO" and line["request_id"] == "the-request"
        assert line["body"].endswith(f" ms from 127.0.0.1, client demo-client, created /orders/{order_id}")
        eventually(lambda: lines(system.delivery, "GET /health/ready 200"))


@pytest.mark.parametrize("program, call", [
    ("order", lambda system: system.client().get("/orders")),
    ("delivery", lambda system: system.deliveries().get("/delivery/shipment/0198c5a2-0000-7000-8000-000000000000")),
], ids=["order_svc", "delivery_svc"])
def test_slow_requests_are_warnings_and_an_outage_is_one_line(parts, program, call):
    with System(parts, LOG_SLOW="200ms", DB_LOCK_TIMEOUT="4s") as system:
        daemon = getattr(system.start(), program)
        table = {"order": "orders", "delivery": "shipments"}[program]
        with concurrent.futures.ThreadPoolExecutor() as pool, parts.connect(system.name) as admin:
            with admin.transaction():
                admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                slow = pool.submit(call, system)
                eventually(lambda: system.query(WAITING), what="a request that waits")
                time.sleep(0.3)
            assert slow.result().status_code in (200, 404)
            with admin.transaction():
                admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                assert call(system).status_code == 503
        told = eventually(lambda: [line for line in lines(daemon, "GET /") if "/health" not in line["body"]])
        assert [line["severity_text"] for line in told] == ["WARN"] and told[0]["request_id"], told
        eventually(lambda: [line for line in daemon.log_lines() if "database for GET " in line["body"]])
        assert not lines(daemon, "GET /health/live")


def test_healthy_requests_leave_no_line(parts):
    with System(parts, LOG_SLOW="1h") as system:
        client = system.start().client()
        order_id = client.created()
        assert client.get(f"/orders/{order_id}").status_code == 200
        assert client.get("/orders/x").status_code in (400, 404)
        system.order.stop()
        assert not lines(system.order, ("GET /", "POST /"))


def test_refused_tokens_are_logged(parts):
    with System(parts, JWT_EXPIRES_IN="1s") as system:
        client = system.start().client()
        grant = {"client_id": "demo-client", "client_secret": "demo-secret", "grant_type": "client_credentials"}
        short = http("POST", f"{system.order.url}/auth/token", json=grant).json()["access_token"]
        for token, what in (("a.b.c", "an invalid"), (short, "an expired")):
            client.token = token
            eventually(lambda: client.get("/orders").status_code == 401)
            line = eventually(lambda w=what: lines(system.order, f"refused {w} token from 127.0.0.1"))[0]
            assert line["severity_text"] == "WARN" and line["request_id"]
