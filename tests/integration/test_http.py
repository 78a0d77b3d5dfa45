"""HTTP as it comes over the wire: kept and pipelined connections, slow, broken and hostile clients."""

import contextlib
import json
import re
import signal
import socket
import time

import pytest
from harness import System, at_once, basket


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, HTTP_TIMEOUT="5s") as one:
        one.order_svc().start()
        yield one


@contextlib.contextmanager
def connected(system):
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=30) as raw:
        yield raw


def until_closed(raw):
    """Everything the server still says."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := raw.recv(65536):
            received += data
    return received


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def request(system, method="GET", path="/orders", body=b"", version="1.1", **headers):
    named = {"Host": "x", "Authorization": f"Bearer {system.mint()}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    if body:
        named = {"Content-Type": "application/json", "Content-Length": str(len(body))} | named
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    return f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode() + body


def order_body():
    return json.dumps(basket()).encode()


def test_pipelined_requests_are_answered_in_their_order(system):
    with connected(system) as raw:
        raw.sendall(request(system, "POST", body=order_body()) + request(system, path="/nope")
                    + request(system) + request(system, "POST", body=order_body(), Connection="close"))
        assert statuses(until_closed(raw)) == [201, 404, 200, 201]


def test_request_that_comes_byte_by_byte_is_read(system):
    with connected(system) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(system, "POST", body=order_body(), Connection="close"):
            raw.sendall(bytes([byte]))
        assert statuses(until_closed(raw)) == [201]


def test_expect_100_continue_is_answered(system):
    body = order_body()
    head = request(system, "POST", body=body, Expect="100-continue", Connection="close")[:-len(body)]
    with connected(system) as raw:
        raw.sendall(head)
        assert statuses(raw.recv(65536)) == [100]
        raw.sendall(body)
        assert statuses(until_closed(raw)) == [201]


@pytest.mark.parametrize("host", ["x", None])  # HTTP/1.0 does not know the field
def test_http_1_0_is_answered_and_closed(system, host):
    with connected(system) as raw:
        raw.sendall(request(system, version="1.0", Host=host))
        assert re.match(rb"HTTP/1\.[01] 200 ", until_closed(raw))


@pytest.mark.parametrize("part", ["", "POST /orders HTTP/1.1\r\nHost: x\r\n"])
def test_client_that_says_no_more_is_let_go(system, part):
    with connected(system) as raw:
        raw.sendall(part.encode())
        assert statuses(until_closed(raw)) in ([], [408])


def test_body_that_never_comes_whole_creates_nothing(system):
    before = system.query("SELECT count(*) FROM orders")
    with connected(system) as raw:
        raw.sendall(request(system, "POST", body=order_body())[:-10])
        assert statuses(until_closed(raw)) in ([], [408])
    assert system.query("SELECT count(*) FROM orders") == before


@pytest.mark.parametrize("name", ["length and chunked", "two lengths", "no number", "negative", "no host", "no HTTP",
                                  "space before the colon"])
def test_ambiguous_request_is_refused_and_the_connection_closed(system, name):
    body, hidden = order_body(), request(system, path="/smuggled")
    ambiguous = {
        "length and chunked": request(system, "POST", body=body, Transfer_Encoding="chunked") + b"0\r\n\r\n" + hidden,
        "two lengths": request(system, "POST", body=body).replace(b"Content-Length", b"Content-Length: 5\r\nContent-Length", 1) + hidden,
        "no number": request(system, "POST", body=body, Content_Length="0x10") + hidden,
        "negative": request(system, "POST", body=body, Content_Length="-1") + hidden,
        "no host": request(system, Host=None) + hidden,
        "no HTTP": b"\x16\x03\x01 hello\r\n\r\n" + hidden,
        "space before the colon": request(system, "POST", body=body).replace(b"Content-Length:", b"Content-Length :", 1) + hidden,
    }[name]
    with connected(system) as raw:
        raw.sendall(ambiguous)
        assert set(statuses(until_closed(raw))) <= {400}
    assert system.order.is_live()


def test_clients_that_hang_up_do_no_harm(system):
    def hang_up():
        with connected(system) as raw:
            raw.sendall(request(system, "POST", body=order_body()))

    at_once([hang_up] * 100)
    assert system.client().create().status_code == 201


def test_hundreds_of_idle_connections_hold_nobody_back(system):
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(connected(system))
        assert system.client().create().status_code == 201


def test_request_that_has_arrived_in_time_is_answered_also_when_it_is_read_late(parts):
    """A load balancer uses a kept connection at the last moment, while the daemon has no processor."""
    with System(parts, HTTP_TIMEOUT="10s") as system, contextlib.ExitStack() as stack:
        system.order_svc().start()
        kept = [stack.enter_context(connected(system)) for _ in range(50)]
        ask = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        for raw in kept:
            raw.sendall(ask)
            assert statuses(raw.recv(65536)) == [200]
        system.order.process.send_signal(signal.SIGSTOP)
        try:
            for raw in kept:
                raw.sendall(ask)
            time.sleep(11)  # more than HTTP_TIMEOUT, and less than twice as long
        finally:
            system.order.process.send_signal(signal.SIGCONT)
        assert [statuses(raw.recv(65536)) for raw in kept] == [[200]] * 50


@pytest.mark.parametrize("kind", ["a header", "headers", "parameters", "a cookie", "cookies"])
def test_no_order_is_made_whose_answer_finds_no_room(system, kind):
    """libmicrohttpd hangs up where a large head leaves no room for the answer's."""
    count, answers = "SELECT count(*) FROM orders", []
    (before,), = system.query(count)
    for size in range(100, 13000, 60):
        head = {"X-Long": "x" * size} if kind == "a header" else {}
        if kind == "headers":
            head = {f"X-{i}": "x" * 50 for i in range(size // 60)}
        if "cookie" in kind:
            head = {"Cookie": "a=" + "x" * size if kind == "a cookie" else "a=b; " * (size // 5)}
        path = "/orders?" + "&".join(["a=b"] * (size // 4)) if kind == "parameters" else "/orders"
        with connected(system) as raw:
            raw.sendall(request(system, "POST", path, order_body(), Connection="close", **head))
            answers += statuses(until_closed(raw)) or [None]
    assert system.query(count) == [(before + answers.count(201),)]
    assert answers[0] == 201 != answers[-1] and set(answers) <= {201, 400, 414, 431, None}


@pytest.mark.parametrize("size, answers", [(2000, [200]), (60000, [431, 414, 413, 400])])
def test_long_headers_have_a_limit(system, size, answers):
    with connected(system) as raw:
        raw.sendall(request(system, X_Long="x" * size, Connection="close"))
        assert statuses(until_closed(raw))[:1] in [[status] for status in answers]
