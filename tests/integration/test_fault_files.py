"""A process that runs out of file descriptors: the log says so, connections that are open are served, others wait, and all
is well once there are files again."""

import contextlib
import errno
import os
import re
import resource
import select
import socket
import subprocess

import pytest
import requests
from harness import System, basket, eventually

LINGERING = 128  # sockets that the daemon reads on after their answer
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
    return any(words in line["body"] for line in daemon.log_lines())


def lose_database(system):
    """All its connections end; new ones are possible."""
    system.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                 " AND pid <> pg_backend_pid()")


LIMIT = re.compile(r"the limit of open files \(nofile\) is (\d+), but the configuration needs (\d+)")
LARGEST = {"HTTP_MAX_CONNECTIONS": "40", "HTTP_THREADS": "64", "CONSUMER_THREADS": "16", "DB_POOL_SIZE": "8"}


def files_needed(daemon, nofile="50"):
    """What the daemon says when it is checked under a limit that is too low; it must say the same at its start."""
    said = []
    for words in (["--check-config"], []):
        refused = subprocess.run(["prlimit", f"--nofile={nofile}", daemon.program, *words], env=daemon.environment,
                                 capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert refused.returncode == 1
        said.append(LIMIT.search(refused.stderr).groups())
    assert said[0] == said[1] and said[0][0] == nofile
    return int(said[0][1])


@pytest.mark.parametrize("settings", [{}, LARGEST], ids=["default", "largest"])
@pytest.mark.parametrize("name", ["order_svc", "delivery_svc"])
def test_a_limit_that_is_too_low_is_refused(parts, name, settings):
    with System(parts, **settings) as system:
        daemon = getattr(system, name)()
        needed = files_needed(daemon)
        assert files_needed(daemon, str(needed - 1)) == needed
        enough = subprocess.run(["prlimit", f"--nofile=50:{needed}", daemon.program, "--check-config"],
                                env=daemon.environment, capture_output=True, text=True, timeout=60)
        assert enough.returncode == 0, enough.stderr


def test_commands_need_no_files_of_clients(parts):
    with System(parts) as system:
        daemon = system.order_svc()
        for words in (["--migrate"], ["client", "list"]):
            done = subprocess.run(["prlimit", "--nofile=50", daemon.program, *words], env=daemon.environment,
                                  capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("settings", [{"HTTP_MAX_CONNECTIONS": "40"}, LARGEST], ids=["default", "largest"])
def test_files_of_the_parts_are_out_of_clients_reach(parts, clients, settings):
    with System(parts, HTTP_TIMEOUT="1h", **settings) as system:
        system.delivery_svc().start()
        daemon = system.order_svc()
        daemon.wrapper = ["prlimit", f"--nofile={files_needed(daemon)}"]
        daemon.start()
        kept = Kept(clients, system)
        assert kept.create() == 201
        for _ in range(LINGERING):  # their sockets stay open for a while, because they have more to send
            raw = connect(clients, daemon)
            raw.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            assert raw.recv(65536).startswith(b"HTTP/1.1 404 ")
        idle = [connect(clients, daemon) for _ in range(39)]
        eventually(lambda: has_logged(daemon, "all 40 connections are in use: new clients must wait"))
        waiting = [connect(clients, daemon) for _ in range(100)]
        for one in waiting:
            one.sendall(REQUEST)
        lose_database(system)
        eventually(lambda: kept.create() == 201)
        eventually(lambda: kept.get("/health/ready") == 200)
        eventually(lambda: system.query("SELECT 1 FROM orders WHERE status = 'PENDING_SHIPMENT'") == [])
        assert not has_logged(daemon, os.strerror(errno.EMFILE))
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
