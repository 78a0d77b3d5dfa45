"""Clients that ask for much and read nothing: memory stays within the documented bound, and so within the limits of the
containers and units. What does not fit is answered 503."""

import contextlib
import json
import pathlib
import re
import select
import socket
import uuid

import pytest
from harness import ROOT, System, basket, eventually, http
from test_fault_overload import memory

MB = 1024  # KiB
CLIENTS = 400
SETTINGS = {"HTTP_MEMORY": "16", "DB_POOL_SIZE": "2", "HTTP_MAX_CONNECTIONS": str(CLIENTS + 100), "HTTP_TIMEOUT": "10m"}


def bound(settings):
    """The bound of docs/SYSTEM_DESIGN.md, in KiB."""
    memory, workers, connections = (int(settings[name]) for name in ("HTTP_MEMORY", "DB_POOL_SIZE", "HTTP_MAX_CONNECTIONS"))
    return 64 * MB + memory * MB + workers * 32 * MB + connections * 40


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, **SETTINGS) as one:
        for daemon in (one.order_svc(), one.delivery_svc()):
            daemon.environment["ASAN_OPTIONS"] = "quarantine_size_mb=1"  # what is freed is to be free
            daemon.start()
        yield one


def large_order():
    """The largest view that an order can have: quotes are escaped in it."""
    return basket(items=[{"product_id": f"{i:03}" + '"' * 252, "quantity": 1000, "unit_price": 9999.99} for i in range(100)])


@contextlib.contextmanager
def clients(daemon, request, count=CLIENTS):
    """So many clients that have sent the request, and read nothing."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(60)
            one.connect(("127.0.0.1", daemon.port))
            one.sendall(request)
            sockets.append(one)
        yield sockets


def status_of(client):
    """The status of an answer that is read to its end, which is the end of the connection."""
    received = b""
    while more := client.recv(65536):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])
    return int(head.split()[1])


def get(path, token):
    return (f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"{f'Authorization: Bearer {token}' if token else 'X: y'}\r\n\r\n").encode()


def rush(daemon, request):
    """The statuses that many clients get; all have been answered before the first reads."""
    with clients(daemon, request) as sockets:
        eventually(lambda: len(select.select(sockets, [], [], 0)[0]) == CLIENTS, what="all answers")
        assert memory(daemon, "VmHWM") <= bound(SETTINGS)
        return {status_of(one) for one in sockets}


@pytest.mark.parametrize("path, size", [("GET /health", 65536), ("POST /auth/token", 16384)])
def test_slow_bodies_of_those_who_need_no_token_leave_memory_for_others(system, path, size):
    head = f"{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    with clients(system.order, head.encode() + b" " * (size - 1)):
        assert system.client("fast").create(large_order()).status_code == 201
        assert http("GET", system.order.url + "/health/live").status_code == 200


def test_pages_end_before_they_are_too_large(system):
    api, customer = system.client("pages"), f"customer-{uuid.uuid4()}"
    made = [api.created(large_order() | {"customer_id": customer}, key=str(n)) for n in range(12)]
    seen, cursor = [], ""
    while cursor is not None:
        answer = api.get(f"/orders?limit=100&customer_id={customer}{cursor and f'&cursor={cursor}'}")
        assert len(answer.content) < 400_000
        page = answer.json()
        assert page["orders"]
        seen, cursor = seen + [order["id"] for order in page["orders"]], page["next_cursor"]
    assert seen == made[::-1]


def test_readers_of_lists(system):
    api = system.client("lists")
    for _ in range(30):
        api.created(large_order())
    assert rush(system.order, get("/orders?limit=100", system.mint("lists"))) == {200, 503}
    assert api.get("/orders?limit=100").status_code == 200


def test_readers_of_orders(system):
    order_id = system.client("reads").created(large_order())
    assert rush(system.order, get(f"/orders/{order_id}", system.mint("reads"))) <= {200, 503}  # the system's buffers take many
    assert system.client("reads").order(order_id)["id"] == order_id


def test_readers_of_audit_trails(system):
    order_id = system.client().created()
    shipment = eventually(lambda: system.deliveries().shipment(order_id))
    system.query("INSERT INTO delivery_events (shipment_id, order_id, previous_status, status, description, tracking_number,"
                 " carrier, actor, request_id, occurred_at) SELECT %s, %s, 'SHIPPED', 'SHIPPED', 'x', repeat('\"', 255),"
                 " repeat('\"', 255), 'a', repeat('r', 128), now() FROM generate_series(1, 1000)",
                 shipment["id"], order_id)
    assert rush(system.delivery, get(f"/delivery/shipment/{order_id}/events", None)) == {200, 503}
    assert system.deliveries().get(f"/delivery/shipment/{order_id}/events").status_code == 200


def post(token, length):
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return (f"POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}Content-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n").encode()


def test_bodies_without_a_token_are_not_kept(system):
    daemon = system.order
    before = memory(daemon, "VmRSS")
    with clients(daemon, post(None, 65536) + b" " * 65535) as sockets:
        eventually(daemon.is_live)
        assert memory(daemon, "VmRSS") < before + 10 * MB  # 25 MiB were sent
        for one in sockets:
            one.sendall(b" ")
        assert {status_of(one) for one in sockets} == {401}


def test_bodies_that_do_not_fit_are_refused(system):
    daemon, body = system.order, json.dumps(large_order()).ljust(65536).encode()
    with clients(daemon, post(system.mint(), len(body)) + body[:-1]) as sockets:
        eventually(daemon.is_live)
        assert memory(daemon, "VmHWM") <= bound(SETTINGS)
        for one in sockets:
            one.sendall(body[-1:])
        assert {status_of(one) for one in sockets} == {201, 503}
    assert system.client().create().status_code == 201


def test_limits_of_containers_and_units_agree_with_the_bound(system):
    defaults = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)`", (ROOT / "docs/CONFIGURATION.md").read_text(), re.MULTILINE))
    wanted = bound(defaults)
    for path in ("docker-compose.yml", "deploy/docker-compose.production.yml"):
        for number in re.findall(r"mem_limit: (\d+)m", pathlib.Path(ROOT, path).read_text()):
            assert wanted <= int(number) * MB, path
    for path in ("deploy/systemd/order-svc@.service", "deploy/systemd/delivery-svc@.service"):
        number = re.search(r"MemoryMax=(\d+)M", pathlib.Path(ROOT, path).read_text())[1]
        assert wanted <= int(number) * MB, path
