"""The lines of requests in the log: which there are, at which level, and that they find an order and its client."""

import pytest
from harness import System, eventually, http


def lines(daemon, start):
    return [line for line in daemon.log_lines() if line["message"].startswith(start)]


def test_access_log_leads_to_the_order(parts):
    with System(parts, ACCESS_LOG="true") as system:
        client = system.start().client()
        order_id = client.created(headers={"X-Request-Id": "the-request"})
        line, = eventually(lambda: lines(system.order, "POST /orders 201"))
        assert line["level"] == "info" and line["request_id"] == "the-request"
        assert line["message"].endswith(f" ms from 127.0.0.1, client demo-client, created /orders/{order_id}")
        eventually(lambda: lines(system.delivery, "GET /health/ready 200"))


@pytest.mark.parametrize("program, call", [
    ("order", lambda system: system.client().get("/orders")),
    ("delivery", lambda system: system.deliveries().get("/delivery/shipment/0198c5a2-0000-7000-8000-000000000000")),
], ids=["order_svc", "delivery_svc"])
def test_failed_and_slow_requests_are_warnings(parts, program, call):
    with System(parts, LOG_SLOW="1ms") as system:
        daemon = getattr(system.start(), program)
        table = {"order": "orders", "delivery": "shipments"}[program]
        with parts.connect(system.name) as admin, admin.transaction():
            admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            assert call(system).status_code == 503
        failed = eventually(lambda: [line for line in lines(daemon, "GET /") if " 503 in " in line["message"]
                                     and "/health" not in line["message"]])
        assert {line["level"] for line in failed} == {"warn"} and failed[0]["request_id"]
        assert not lines(daemon, "GET /health/live")


def test_healthy_requests_leave_no_line(parts):
    with System(parts) as system:
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
            assert line["level"] == "warn" and line["request_id"]
