"""The health check of the command line: order-svc --health asks the daemon that runs with the same settings."""

import contextlib
import signal
import socket
import subprocess
import threading

import pytest
from certificates import authority
from harness import PATIENCE, System, eventually, free_port, http

BOTH = pytest.mark.parametrize("name", ["order_svc", "delivery_svc"])
NO_SECRET = ("JWT_SECRET", "DB_PASSWORD", "APP_ENV")


def check(daemon, what="--health", **changes):
    """Exit code, standard output and standard error. It needs no secret."""
    settings = {name: value for name, value in daemon.environment.items() if name not in NO_SECRET}
    done = subprocess.run([daemon.program, what], env=settings | changes, capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def start(system, name, host, scheme="http", **settings):
    daemon = getattr(system, name)(**settings)
    daemon.url = f"{scheme}://{host}:{daemon.port}"
    return daemon.start()


@BOTH
@pytest.mark.parametrize("bind, host", [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::", "[::1]"),
                                        ("::1", "[::1]"), ("::ffff:127.0.0.1", "127.0.0.1")])
def test_a_daemon_that_is_ready(parts, name, bind, host):
    with System(parts, BIND_ADDRESS=bind) as system:
        daemon = start(system, name, host)
        eventually(lambda: check(daemon) == check(daemon, "--health=ready") == (0, "ready\n", ""))
        eventually(lambda: check(daemon, "--health=live") == (0, "alive\n", ""))
        eventually(lambda: check(daemon, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9") == (0, "ready\n", ""))


@BOTH
def test_over_tls(parts, name, tmp_path):
    authority().issue(tmp_path)
    with System(parts, TLS_CERT_FILE=str(tmp_path / "cert.pem"), TLS_KEY_FILE=str(tmp_path / "key.pem")) as system:
        daemon = getattr(system, name)().start()
        eventually(lambda: check(daemon) == (0, "ready\n", ""))
        code, out, err = check(daemon, TLS_CERT_FILE="", TLS_KEY_FILE="")
        assert (code, out) == (1, "") and err.count("\n") == 1


@BOTH
def test_before_the_migrations(parts, name):
    settings = {"APP_ENV": "production", "JWT_SECRET": "a secret of this test, long enough for HS256",
                "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false"}
    with System(parts) as system:
        daemon = getattr(system, name)(**settings)
        daemon.launch()
        eventually(lambda: check(daemon) == (1, "", "not ready: migrations\n"))
        eventually(lambda: check(daemon, "--health=live") == (0, "alive\n", ""))
        subprocess.run([daemon.program, "--migrate"], env=daemon.environment, check=True, capture_output=True, timeout=PATIENCE)
        eventually(lambda: check(daemon) == (0, "ready\n", ""))


def test_no_daemon(parts):
    with System(parts) as system:
        daemon = system.order_svc()
        code, out, err = check(daemon)
        assert (code, out) == (1, "") and err.startswith(f"no answer from http://127.0.0.1:{daemon.port}/health/ready: ")
        assert err.count("\n") == 1
        assert check(daemon, ORDER_SERVICE_PORT="0")[0] == 1


def test_a_daemon_that_hangs(parts):
    with System(parts) as system:
        daemon = system.order_svc().start()
        daemon.process.send_signal(signal.SIGSTOP)
        code, out, err = check(daemon)
        daemon.process.send_signal(signal.SIGCONT)
        assert (code, out) == (1, "") and "timed out" in err.lower()
        eventually(lambda: http("GET", f"{daemon.url}/health/live").status_code == 200)


@contextlib.contextmanager
def stranger(answer):
    """Something else that listens on the port of the daemon, for one connection."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        thread.join(PATIENCE)


@pytest.mark.parametrize("answer, why", [
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "was answered with 404"),
    (b"HTTP/1.1 503 Away\r\nContent-Length: 25\r\n\r\n{\"status\":\"a\\u001b[31mb\"}", "was answered with 503"),
    (b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "was answered with 301"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000, "no answer"),
    (b"SSH-2.0-OpenSSH\r\n", "no answer"), (b"", "no answer")])
def test_something_else_on_the_port(parts, answer, why):
    with System(parts) as system, stranger(answer) as port:
        code, out, err = check(system.order_svc(), ORDER_SERVICE_PORT=str(port))
        assert (code, out) == (1, "") and why in err and err.count("\n") == 1, err


def test_faults_of_the_settings(parts):
    with System(parts) as system:
        daemon = system.order_svc()
        assert check(daemon, "--health=dead")[0] == 2
        code, _, err = check(daemon, BIND_ADDRESS="localhost")
        assert code == 1 and "BIND_ADDRESS: must be" in err
