"""An orderly stop waits for requests that have arrived, and for answers that are being received. It waits for nobody else."""

import contextlib
import json
import re
import socket

import pytest
from harness import WAITING, System, basket, eventually

NEVER = "10m"  # longer than the tests wait for the end of a process


@pytest.fixture
def system(parts):
    with System(parts, SHUTDOWN_TIMEOUT=NEVER, HTTP_TIMEOUT="1h", DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s") as both:
        yield both.start()


@pytest.fixture
def clients():
    """A place for connections, closed in the end."""
    with contextlib.ExitStack() as stack:
        yield stack


def connect(clients, daemon, small=False):
    """A connection, whose client may have little room for what it sends and receives."""
    raw = clients.enter_context(socket.socket())
    if small:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    raw.settimeout(60)
    raw.connect(("127.0.0.1", daemon.port))
    return raw


def is_closed(daemon):
    """Whether its port is: then it takes no new clients."""
    try:
        socket.create_connection(("127.0.0.1", daemon.port), timeout=60).close()
    except ConnectionError as error:  # a reset: it is being closed right now
        return isinstance(error, ConnectionRefusedError)
    return False


@pytest.mark.parametrize("name", ["order", "delivery"])
def test_load_balancers_have_time_to_leave(parts, clients, name):
    """Until the port closes, who still comes is answered, and told to go elsewhere next time."""
    with System(parts, SHUTDOWN_DELAY="8s") as system:
        daemon = getattr(system.start(), name)
        kept = connect(clients, daemon)
        ask = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
        kept.sendall(ask)
        assert b"connection: close" not in kept.recv(65536).lower()
        daemon.terminate()
        eventually(lambda: not daemon.is_ready())
        for raw in kept, connect(clients, daemon):
            raw.sendall(ask)
            answer = raw.recv(65536).lower()
            assert answer.startswith(b"http/1.1 503") and b"connection: close" in answer
            assert raw.recv(1) == b""
        daemon.finish()


HALVES = {
    "head": b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Le",
    "body": b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    "chunks": b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "unwanted body": b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("name", ["order", "delivery"])
@pytest.mark.parametrize("half", HALVES)
def test_a_request_that_never_ends_holds_up_no_stop(system, clients, name, half):
    daemon = getattr(system, name)
    raw = connect(clients, daemon)
    raw.sendall(HALVES[half])
    assert daemon.is_live()
    daemon.stop()


@pytest.mark.parametrize("name", ["order", "delivery"])
def test_a_client_that_never_reads_holds_up_no_stop(system, clients, name):
    daemon = getattr(system, name)
    raw = connect(clients, daemon, small=True)
    raw.settimeout(5)
    with contextlib.suppress(TimeoutError):  # until the daemon reads no more requests, as it cannot send the answers
        while True:
            raw.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert daemon.is_live()
    daemon.stop()


def test_a_request_that_has_arrived_is_answered(system, clients):
    raw, body = connect(clients, system.order), json.dumps(basket()).encode()
    with system.parts.connect(system.name) as other, other.transaction():
        other.execute("LOCK TABLE orders IN SHARE MODE")
        raw.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                    b"Authorization: Bearer %s\r\n\r\n%s" % (len(body), system.mint().encode(), body))
        eventually(lambda: system.query(WAITING))
        system.order.terminate()
        eventually(lambda: is_closed(system.order))
    answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 201 ") and b"Connection: close\r\n" in answer
    system.order.finish()


def test_an_answer_that_is_being_received_arrives_whole(system, clients):
    """It is larger than what the sockets hold, so the client has not all of it when the daemon is told to stop."""
    many = basket(items=[{"product_id": f"{i:03}" + "x" * 90, "quantity": 1, "unit_price": 1} for i in range(100)])
    buyer = system.client()
    for i in range(25):
        assert buyer.create(many | {"customer_id": f"c{i}"}).status_code == 201
    raw = connect(clients, system.order, small=True)
    raw.sendall(b"GET /orders?limit=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % system.mint().encode())
    received = bytearray(raw.recv(1024))
    system.order.terminate()
    eventually(lambda: is_closed(system.order))
    while more := raw.recv(65536):
        received += more
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(rest) == int(re.search(rb"Content-Length: (\d+)", head)[1]) > 100_000
    system.order.finish()
