"""A thousand clients that send a byte a second, stall, or never read: they hold nobody up, and are cut at the deadline."""

import contextlib
import json
import os
import resource
import socket
import threading

import pytest
from harness import System, at_once, basket, eventually

EACH = 340  # of three kinds


@pytest.fixture(scope="module", autouse=True)
def enough_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class SlowClients:
    """They say something at once and the rest a byte a second, or no more. They read nothing."""

    def __init__(self, port):
        self.port, self.rest, self.stopping = port, {}, threading.Event()
        self.thread = threading.Thread(target=self.trickle)

    def add(self, said, rest=b""):
        client = socket.socket()
        # Small buffers, so that an answer that is not read gets stuck.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        client.connect(("127.0.0.1", self.port))
        client.setblocking(False)
        client.send(said)
        self.rest[client] = rest

    def trickle(self):
        while not self.stopping.wait(1):
            for client, rest in self.rest.items():
                with contextlib.suppress(OSError):  # it was cut
                    self.rest[client] = rest[client.send(rest[:1]):]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for client in self.rest:
            client.close()


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_a_thousand_slow_clients_hold_nobody_up_and_are_cut(parts):
    with System(parts, HTTP_TIMEOUT="30s", HTTP_QUEUE_TIMEOUT="5m") as system:
        daemon, api = system.order_svc().start(), system.client()
        order_ids = [api.created() for _ in range(50)]
        head = f"Host: x\r\nAuthorization: Bearer {system.mint()}\r\n"
        body = json.dumps(basket()) + " " * 1000
        post = f"POST /orders HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        get = f"GET /orders?limit=100 HTTP/1.1\r\n{head}\r\n"
        quiet = open_files(daemon)
        with SlowClients(daemon.port) as slow:
            for _ in range(EACH):
                slow.add(b"", (post + body).encode())
                slow.add((post + body[:100]).encode())
            for _ in range(EACH):  # last: their pages keep the daemon busy
                slow.add(get.encode() * 20)
            eventually(lambda: open_files(daemon) >= quiet + 1000, what="a thousand connections")
            answers = at_once([api.create] * 50 + [lambda one=one: api.get(f"/orders/{one}") for one in order_ids])
            assert [answer.status_code for answer in answers] == [201] * 50 + [200] * 50
            eventually(lambda: open_files(daemon) <= quiet + 8, timeout=180, what="the end of the slow ones")
        assert system.query("SELECT count(*) FROM orders") == [(100,)]
        assert api.create().status_code == 201
