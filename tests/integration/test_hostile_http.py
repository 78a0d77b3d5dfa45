"""Requests that HTTP parsers on the way could read in two ways (request smuggling), and noise: all of it is refused, and
what is not refused is understood to its last byte. Behind each request stands another one that must not be answered
unless it is clear where it begins."""

import contextlib
import json
import os
import re
import socket

import pytest
from harness import System, basket

BEHIND = 404  # the answer to the request that stands behind


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as one:
        one.order_svc().start()
        yield one


class Requests:
    """Raw requests of one client."""

    def __init__(self, system):
        self.authorization = f"Authorization: Bearer {system.mint()}\r\n".encode()
        self.common = b"Host: shop.example:80\r\n" + self.authorization
        self.behind = self.get(target=b"/nothing-here")

    def get(self, headers=b"", target=b"/orders", version=b"HTTP/1.1", method=b"GET"):
        return method + b" " + target + b" " + version + b"\r\n" + self.common + headers + b"\r\n"

    def post(self, headers, body, version=b"HTTP/1.1"):
        return self.get(b"Content-Type: application/json\r\n" + headers, b"/orders", version, b"POST") + body


def length(body):
    return b"Content-Length: %d\r\n" % len(body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunks(body, size=b"%x\r\n", end=b"\r\n0\r\n\r\n"):
    return size % len(body) + body + end


def order():
    return json.dumps(basket()).encode()


def answers(system, data):
    """The statuses of the answers to raw bytes; all that come until the server closes, which it is not told to."""
    received = b""
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=60) as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(data)
            while more := raw.recv(65536):
                received += more
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


AMBIGUOUS_BODIES = {  # name: headers and body for an order
    "two equal lengths": lambda b: (length(b) + length(b), b),
    "two lengths": lambda b: (b"Content-Length: 5\r\n" + length(b), b),
    "two lengths in one": lambda b: (b"Content-Length: %d, %d\r\n" % (len(b), len(b)), b),
    "length with a sign": lambda b: (b"Content-Length: +%d\r\n" % len(b), b),
    "length with a space behind": lambda b: (b"Content-Length: %d \r\n" % len(b), b),
    "hexadecimal length": lambda b: (b"Content-Length: 0x%x\r\n" % len(b), b),
    "length beyond 64 bits": lambda b: (b"Content-Length: %d\r\n" % (2**64 + len(b)), b),
    "empty length": lambda b: (b"Content-Length:\r\n", b),
    "length cut by a NUL": lambda b: (b"Content-Length: %d\x005\r\n" % len(b), b),
    "length and chunked": lambda b: (length(b) + CHUNKED, chunks(b)),
    "chunked and length": lambda b: (CHUNKED + length(b), chunks(b)),
    "identity": lambda b: (length(b) + b"Transfer-Encoding: identity\r\n", b),
    "chunked twice": lambda b: (CHUNKED + CHUNKED, chunks(b)),
    "list of encodings": lambda b: (b"Transfer-Encoding: gzip, chunked\r\n", chunks(b)),
    "unknown encoding": lambda b: (b"Transfer-Encoding: xchunked\r\n", chunks(b)),
    "quoted encoding": lambda b: (b'Transfer-Encoding: "chunked"\r\n', chunks(b)),
    "folded encoding": lambda b: (b"Transfer-Encoding:\r\n chunked\r\n", chunks(b)),
    "space before the colon": lambda b: (b"Transfer-Encoding : chunked\r\n", chunks(b)),
    "vertical tab before the colon": lambda b: (b"Transfer-Encoding\x0b: chunked\r\n", chunks(b)),
    "chunk size 0x": lambda b: (CHUNKED, chunks(b, b"0x%x\r\n")),
    "chunk size with a sign": lambda b: (CHUNKED, chunks(b, b"+%x\r\n")),
    "negative chunk size": lambda b: (CHUNKED, chunks(b, b"-%x\r\n")),
    "space before the chunk size": lambda b: (CHUNKED, chunks(b, b" %x\r\n")),
    "chunk size beyond 64 bits": lambda b: (CHUNKED, chunks(b, b"1" + b"0" * 15 + b"%x\r\n")),
    "chunk size is no number": lambda b: (CHUNKED, b"zz\r\n" + chunks(b)),
    "chunk longer than it says": lambda b: (CHUNKED, chunks(b, end=b"xx0\r\n\r\n")),
    "CR ends the chunk size": lambda b: (CHUNKED, chunks(b, b"%x\r")),
    "LF in a chunk extension": lambda b: (CHUNKED, chunks(b, b"%x;a\nb\r\n")),
}

AMBIGUOUS_HEADERS = {  # name: a header of a GET
    "CR hides a header": b"X: a\rTransfer-Encoding: chunked\r\n",
    "CR in a value": b"X: a\rb\r\n",
    "CR at the end": b"X: a\r\r\n",
    "LF hides a header": b"X: a\nTransfer-Encoding: chunked\r\n",
    "LF at the end": b"X: a\n",
    "NUL in a value": b"X: a\0b\r\n",
    "NUL at the end": b"X: a\0\r\n",
    "NUL in a name": b"X\0Y: a\r\n",
    "control character": b"X: a\x01b\r\n",
    "folded line": b"X: a\r\n b\r\n",
    "folded at the end": b"X: a\r\n \r\n",
    "space in a name": b"X Y: a\r\n",
    "space before a name": b" X: a\r\n",
    "no name": b": a\r\n",
    "no colon": b"nonsense\r\n",
    "NUL begins the last line": b"X: a\n\0X\n",
    "two hosts": b"Host: other\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS_BODIES)
def test_ambiguous_body_is_refused(system, name):
    raw, before = Requests(system), system.query("SELECT count(*) FROM orders")
    headers, body = AMBIGUOUS_BODIES[name](order())
    assert set(answers(system, raw.post(headers, body) + raw.behind)) <= {400, 413}
    assert system.query("SELECT count(*) FROM orders") == before


@pytest.mark.parametrize("name", AMBIGUOUS_HEADERS)
def test_ambiguous_header_is_refused(system, name):
    raw = Requests(system)
    assert answers(system, raw.get(AMBIGUOUS_HEADERS[name]) + raw.behind) == [400]


AMBIGUOUS_HEADS = {  # name: what becomes of a good head
    "LF for CR LF": lambda good: good.replace(b"\r\n", b"\n"),
    "first header begins with a space": lambda good: good.replace(b"Host", b" Host"),
    "no host": lambda good: good.replace(b"Host", b"X-Host"),
    "host with a comma": lambda good: good.replace(b"shop", b"a, shop"),
    "host with a user": lambda good: good.replace(b"shop", b"a@shop"),
    "host with a path": lambda good: good.replace(b":80", b"/x"),
    "host cut by a NUL": lambda good: good.replace(b":80", b"\0.example"),
    "target cut by a NUL": lambda good: good.replace(b"/orders", b"/orders\0/x"),
    "control character in the target": lambda good: good.replace(b"/orders", b"/orders\x1f"),
    "method cut by a NUL": lambda good: good.replace(b"GET", b"GET\0X"),
    "two spaces": lambda good: good.replace(b"GET ", b"GET  "),
    "space in the target": lambda good: good.replace(b"/orders", b"/orders /x"),
    "no target": lambda good: good.replace(b" /orders", b""),
    "no version": lambda good: good.replace(b" HTTP/1.1", b""),
    "version of tomorrow": lambda good: good.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "no version number": lambda good: good.replace(b"HTTP/1.1", b"HTTP/x"),
    "method in a foreign tongue": lambda good: good.replace(b"GET", b"G\xc3\x89T"),
    "HTTP/2": lambda good: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": lambda good: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "noise": lambda good: os.urandom(500) + b"\r\n\r\n",
    "long target": lambda good: good.replace(b"/orders", b"/" + b"a" * 20000),
    "long header": lambda good: good.replace(b"Host", b"X: " + b"a" * 20000 + b"\r\nHost"),
    "many headers": lambda good: good.replace(b"Host", b"X: a\r\n" * 5000 + b"Host"),
}


@pytest.mark.parametrize("name", AMBIGUOUS_HEADS)
def test_malformed_head_is_refused(system, name):
    raw = Requests(system)
    assert set(answers(system, AMBIGUOUS_HEADS[name](raw.get()) + raw.behind)) <= {400, 414, 431, 505}
    assert system.order.is_live()


def test_old_http_has_no_chunks(system):
    raw = Requests(system)
    assert answers(system, raw.post(CHUNKED, chunks(order()), b"HTTP/1.0") + raw.behind) == [400]


CLEAR = {  # name: a request that is as it should be, if unusual, and its answer
    "body where none is read": lambda raw: (raw.get(length(raw.behind)) + raw.behind, 200),
    "host in the target": lambda raw: (raw.get(target=b"http://shop.example/orders?limit=1"), 200),
    "only the host in the target": lambda raw: (raw.get(target=b"HTTP://shop.example"), 200),  # that is /, the page
    "secure scheme in the target, without TLS": lambda raw: (raw.get(target=b"https://shop.example/orders"), 404),
    "escape in the host in the target": lambda raw: (raw.get(target=b"http://a%2Forders"), 404),
    "escape in the scheme in the target": lambda raw: (raw.get(target=b"http%3A//shop.example/orders"), 404),
    "empty lines before": lambda raw: (b"\r\n\r\n" + raw.get(), 200),
    "spaces around a value": lambda raw: (raw.get(b"X:  a b\t \r\nY:\r\nZ:a\r\n"), 200),
    "blanks behind the token": lambda raw: (raw.get().replace(raw.authorization, raw.authorization[:-2] + b" \t\r\n"), 200),
    "bytes above ASCII in a value": lambda raw: (raw.get(b"X: \xff\xfe\r\n"), 200),
    "long head": lambda raw: (raw.get(b"Cookie: a=b; c=d\r\n" + b"X: " + b"a" * 6000 + b"\r\n"), 200),
    "upgrade that is not taken": lambda raw: (raw.get(b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200),
    "NUL escaped in the path": lambda raw: (raw.get(target=b"/orders%00"), 404),
    "NUL escaped in the query": lambda raw: (raw.get(target=b"/orders?status=SHIPPED%00"), 400),
    "line break escaped": lambda raw: (raw.get(target=b"/nope%0d%0aX:%20y"), 404),
    "escape that is none": lambda raw: (raw.get(target=b"/orders%zz"), 404),
    "all of the server": lambda raw: (raw.get(target=b"*", method=b"OPTIONS"), 404),
    "tunnel": lambda raw: (raw.get(target=b"shop.example:80", method=b"CONNECT"), 404),
    "trace": lambda raw: (raw.get(method=b"TRACE"), 405),
}


@pytest.mark.parametrize("name", CLEAR)
def test_clear_request_is_understood_to_its_last_byte(system, name):
    raw = Requests(system)
    data, status = CLEAR[name](raw)
    last = raw.behind.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert answers(system, data + last) == [status, BEHIND]


IN_CHUNKS = {  # name: a body in chunks; libmicrohttpd takes LF for CR LF there, so others may see another end
    "chunked": lambda b: (CHUNKED, chunks(b)),
    "chunked in capitals": lambda b: (CHUNKED.upper(), chunks(b)),
    "extensions of chunks": lambda b: (CHUNKED, chunks(b, b'%x;a="b"\r\n', b"\r\n0;c\r\n\r\n")),
    "trailers": lambda b: (CHUNKED, chunks(b, end=b"\r\n0\r\nContent-Length: 3\r\nX: a\r\n\r\n")),
    "LF ends the chunk size": lambda b: (CHUNKED, chunks(b, b"%x\n")),
    "LF ends the chunk": lambda b: (CHUNKED, chunks(b, end=b"\n0\r\n\r\n")),
    "LF ends the last chunk": lambda b: (CHUNKED, chunks(b, end=b"\r\n0\n\r\n")),
    "LF ends a trailer": lambda b: (CHUNKED, chunks(b, end=b"\r\n0\r\nX: a\n\r\n")),
    "LF ends the trailers": lambda b: (CHUNKED, chunks(b, end=b"\r\n0\r\n\n")),
}


@pytest.mark.parametrize("name", IN_CHUNKS)
def test_nothing_is_read_behind_chunks(system, name):
    raw = Requests(system)
    assert answers(system, raw.post(*IN_CHUNKS[name](order())) + raw.behind) == [201]


def test_trailer_is_no_header(system):
    raw = Requests(system)
    data = b"GET /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + CHUNKED + b"\r\n0\r\n" + raw.authorization + b"\r\n"
    assert answers(system, data) == [401]


def test_http_1_0_needs_no_host(system):
    raw = Requests(system)
    assert answers(system, raw.get(version=b"HTTP/1.0").replace(b"Host: shop.example:80\r\n", b"") + raw.behind) == [200]
