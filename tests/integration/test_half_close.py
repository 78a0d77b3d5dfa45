"""Clients that close their sending side after the request, as `nc -N` and some HTTP libraries do: they get their answer."""

import contextlib
import json
import socket
import ssl
import uuid

import pytest
from certificates import authority
from harness import WAITING, System, at_once, basket, eventually
from test_metrics import value

CLIENTS = 20


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s") as both:
        yield both.start()


def request(system, path="/orders", body=None, host=b"x"):
    body = b"" if body is None else json.dumps(body).encode()
    token = system.mint(scope="order:create order:read order:read:all delivery:read delivery:write").encode()
    return (b"%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Authorization: Bearer %s\r\n\r\n" % (b"POST" if body else b"GET", path.encode(), host, len(body), token)) + body


def answer(port, data):
    """All that comes after the client has sent the data and its end, in one packet."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        while more := raw.recv(65536):
            received += more
    return received


def body_of(received, status):
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received
    assert b"Connection: close" in head
    assert b"Content-Length: %d" % len(body) in head
    return json.loads(body)


def test_new_orders_are_answered(system):
    receipts = at_once([lambda: answer(system.order.port, request(system, body=basket()))] * CLIENTS)
    ids = {body_of(receipt, 201)["order_id"] for receipt in receipts}
    assert len(ids) == CLIENTS
    assert {order["id"] for order in map(system.client().order, ids)} == ids


def test_the_end_may_come_while_the_request_waits(system):
    """Its worker waits for a lock, which is released when the client has ended."""
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=60) as raw:
        with system.parts.connect(system.name) as other, other.transaction():
            other.execute("LOCK TABLE orders IN SHARE MODE")
            raw.sendall(request(system, body=basket()))
            eventually(lambda: system.query(WAITING))
            raw.shutdown(socket.SHUT_WR)
        received = b""
        while more := raw.recv(65536):
            received += more
    body_of(received, 201)


def test_stream_ends_and_leaves_no_place_behind(system):
    """Nobody would read it, and it has no end of its own."""
    api, headers = system.client(), b"Accept: text/event-stream\r\nHost:"
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", system.order.port), timeout=60))
            raw.sendall(request(system, "/events").replace(b"Host:", headers))
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
    eventually(lambda: value(system.order, "orders_feed_readers", kind="stream") == 0)
    api.created()


@pytest.mark.parametrize("end", ["", "/events"])
def test_delivery_answers(system, end):
    path = f"/delivery/shipment/{uuid.uuid4()}{end}"
    for received in at_once([lambda: answer(system.delivery.port, request(system, path))] * CLIENTS):
        body_of(received, 404)


def test_a_long_list_arrives_whole(system):
    many = basket(items=[{"product_id": f"{i:03}" + "x" * 90, "quantity": 1, "unit_price": 1} for i in range(100)])
    for i in range(25):
        assert system.client().create(many | {"customer_id": f"c{i}"}).status_code == 201
    received = answer(system.order.port, request(system, "/orders?limit=100"))
    assert len(received) > 100_000
    assert body_of(received, 200)["orders"]


def test_what_follows_the_request_is_dropped_without_harm(system):
    one = request(system, body=basket())
    assert answer(system.order.port, one + one * 200).startswith(b"HTTP/1.1 201 ")


def test_descriptors_are_given_back(system):
    for _ in range(5):
        at_once([lambda: answer(system.order.port, request(system, body=basket()))] * CLIENTS)
    body_of(answer(system.order.port, request(system, body=basket())), 201)


def test_the_end_of_tcp_under_tls(parts, tmp_path):
    """TLS knows no end of TCP alone, so the client reads on in its session."""
    authority().issue(tmp_path)
    with System(parts, TLS_CERT_FILE=str(tmp_path / "cert.pem"), TLS_KEY_FILE=str(tmp_path / "key.pem")) as system:
        system.order_svc().start()
        context = ssl.create_default_context(cafile=authority().path)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", system.order.port), timeout=60) as raw:
            def step(action):
                while True:
                    try:
                        result = action()
                    except ssl.SSLWantReadError:
                        if outgoing.pending:
                            raw.sendall(outgoing.read())
                        incoming.write(raw.recv(65536))
                    else:
                        if outgoing.pending:
                            raw.sendall(outgoing.read())
                        return result

            step(tls.do_handshake)
            step(lambda: tls.write(request(system, body=basket())))
            raw.shutdown(socket.SHUT_WR)
            assert step(lambda: tls.read(65536)).startswith(b"HTTP/1.1 201 ")
