"""A process that runs out of file descriptors: the log says so, connections that are open are served, others wait, and all
is well once there are files again."""

import contextlib
import errno
import os
import resource
import select
import socket

import pytest
import requests
from harness import System, basket, eventually

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def clients():
    """A place for connections, closed in the end."""
    with contextlib.ExitStack() as stack:
        yield stack


def connect(clients, daemon):
    return clients.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=60))


class Kept:
    """A client that has its connection already."""

    def __init__(self, clients, system):
        self.system, self.session = system, clients.enter_context(requests.Session())
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {system.mint()}"

    def get(self, path):
        return self.session.get(self.system.order.url + path, timeout=60).status_code

    def create(self):
        return self.session.post(self.system.order.url + "/orders", json=basket(), timeout=60).status_code


def has_logged(daemon, words):
    return any(words in line["message"] for line in daemon.log_lines())


def lose_database(system):
    """All its connections end; new ones are possible."""
    system.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                 " AND pid <> pg_backend_pid()")


def test_files_of_the_parts_are_out_of_clients_reach(parts, clients):
    with System(parts, HTTP_TIMEOUT="1h") as system:
        daemon = system.order_svc()
        daemon.wrapper = ["prlimit", "--nofile=120"]
        daemon.start()
        assert has_logged(daemon, "the limit of 120 open files allows only 40 connections")
        kept = Kept(clients, system)
        assert kept.create() == 201
        idle = [connect(clients, daemon) for _ in range(39)]
        eventually(lambda: has_logged(daemon, "all 40 connections are in use: new clients must wait"))
        waiting = [connect(clients, daemon) for _ in range(100)]
        for one in waiting:
            one.sendall(REQUEST)
        lose_database(system)
        eventually(lambda: kept.create() == 201)
        assert kept.get("/health/ready") == 200
        assert select.select(waiting, [], [], 0)[0] == []
        for one in idle:
            one.close()
        for one in waiting:
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
            one.close()
        eventually(lambda: has_logged(daemon, "accepting connections again"))
        assert system.client().create().status_code == 201


def test_a_process_without_files_says_so_and_recovers(parts, clients):
    with System(parts, HTTP_TIMEOUT="1h") as system:
        daemon = system.order_svc().start()
        kept = Kept(clients, system)
        assert kept.create() == 201
        pid = daemon.process.pid
        _, hard = before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))  # it has more open: nothing can be opened
        waiting = [connect(clients, daemon) for _ in range(20)]
        for one in waiting:
            one.sendall(REQUEST)
        eventually(lambda: has_logged(daemon, "the process is out of file descriptors: new clients must wait"))
        assert kept.get("/health/live") == 200
        lose_database(system)
        eventually(lambda: kept.create() == 503)
        eventually(lambda: kept.get("/health/ready") == 503)
        eventually(lambda: has_logged(daemon, os.strerror(errno.EMFILE)))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: kept.get("/health/ready") == 200)
        eventually(lambda: kept.create() == 201)
        kept.session.close()
        for one in waiting:
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert system.client().create().status_code == 201
