"""Answers that are given before the whole request was read: each client gets them, however it sends its body."""

import http.client
import json
import re
import socket
import time
import urllib.error
import urllib.request

import pytest
from harness import System, at_once, basket

MB = 1 << 20
CLIENTS = 20


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as one:
        one.start()
        yield one


def post(url, token, data, **headers):
    """The status of an answer, as Python's urllib gets it."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | headers)  # noqa: S310
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        assert json.loads(refusal.read())["status"] == refusal.code
        return refusal.code


REFUSED = {  # name: path, whether with a token, bytes of the body, status
    "too large": ("/orders", True, 3 * MB, 413),
    "far too large": ("/orders", True, 7 * MB, 413),
    "too large without a token": ("/orders", False, 3 * MB, 401),
    "no token": ("/orders", False, 60_000, 401),
    "no such path": ("/nothing", True, 3 * MB, 404),
    "no such method": ("/health", True, 3 * MB, 405),
    "token endpoint": ("/auth/token", False, 3 * MB, 413),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_answer_arrives(system, name):
    path, with_token, size, status = REFUSED[name]
    token, url = system.mint() if with_token else None, system.order.url + path
    assert at_once([lambda: post(url, token, b" " * size)] * CLIENTS) == [status] * CLIENTS


@pytest.mark.parametrize("size", [100_000, 3 * MB, 7 * MB])
def test_a_body_in_chunks_gets_its_answer(system, size):
    def one():
        client = http.client.HTTPConnection("127.0.0.1", system.order.port, timeout=60)
        client.request("POST", "/orders", (b" " * 10_000 for _ in range(size // 10_000)), encode_chunked=True,
                       headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked",
                                "Authorization": f"Bearer {token}"})
        return client.getresponse().status
    token = system.mint()
    assert at_once([one] * CLIENTS) == [413] * CLIENTS


def talk(port, data, pause=0.0):
    """All that is answered to raw bytes, which a slow client sends in two pieces."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(data[:len(data) // 2])
        time.sleep(pause)
        client.sendall(data[len(data) // 2:])
        while more := client.recv(65536):
            received += more
    return received


HEADS = {  # name: head, status
    "two lengths": (b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
    "no host": (b"POST /orders HTTP/1.1\r\nContent-Length: 5\r\n\r\n", b"400"),
    "large head": (b"POST /orders HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_answered_whatever_follows(system, name):
    head, status = HEADS[name]
    for _ in range(CLIENTS):
        assert talk(system.order.port, head + b"x" * 200_000, pause=0.05).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_asks_first_sends_no_body(system):
    head = (f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.mint()}\r\n"
            f"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {3 * MB}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=60) as client:
        client.sendall(head)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_never_ends_its_body_is_cut(system):
    head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=60) as client:
        client.sendall(head)
        assert client.recv(65536).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(OSError):  # noqa: PT011
            for _ in range(1000):
                client.sendall(b" " * MB)


@pytest.mark.parametrize("size", [100, 2000, 9000, 10_000, 10_500, 11_000, 11_500])
@pytest.mark.parametrize("line", [100, 8000])
def test_an_order_with_trailers_is_answered_or_not_made(system, size, line):
    """Trailers and the head of the answer share what libmicrohttpd has of memory."""
    before = system.query("SELECT count(*) FROM orders")
    body = json.dumps(basket()).encode()
    fields = b"".join(b"X: " + b"a" * min(line, size - i) + b"\r\n" for i in range(0, size, line))
    answer = talk(system.order.port, b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                  b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                  b"%x\r\n%s\r\n0\r\n%s\r\n" % (system.mint().encode(), len(body), body, fields))
    made = system.query("SELECT count(*) FROM orders") != before
    assert made == answer.startswith(b"HTTP/1.1 201 "), answer
    if size <= 2000:
        assert made
    elif size <= 9000:
        assert made or re.match(rb"HTTP/1\.1 4(00|31) ", answer), answer


def test_the_connection_survives_a_small_body_that_nobody_reads(system):
    client, sockets = http.client.HTTPConnection("127.0.0.1", system.order.port, timeout=60), set()
    for token, status in [("x", 401), (system.mint(), 201), ("x", 401), (system.mint(), 201)]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        client.request("POST", "/orders", json.dumps(basket()), headers)
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
        sockets.add(client.sock.getsockname())
    assert len(sockets) == 1
