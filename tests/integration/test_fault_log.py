"""Nobody reads standard error: its pipe is full. The daemons serve and stop as ever, and tell later what they dropped."""

import http.client
import os
import threading
import time

import pytest
from harness import System, eventually

ENOUGH = 2500  # requests, each of which is a long line of the log: more than the pipe and the buffers hold
TIMEOUT = 10  # seconds for an orderly stop


class Pipe:
    """Standard error of a daemon. Nobody reads it until read() is called."""

    def __init__(self, folder, daemon):
        path, self.text = f"{folder}/{daemon.port}.pipe", b""
        os.mkfifo(path)
        self.end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self.end, True)
        daemon.wrapper = ["sh", "-c", 'exec "$@" 2>"$0"', path]
        self.reader = threading.Thread(target=self._read)

    def _read(self):
        while more := os.read(self.end, 65536):
            self.text += more

    def read(self):
        self.reader.start()

    def close(self):
        """All that was written until the daemon ended."""
        if self.reader.ident:
            self.reader.join()
        os.close(self.end)
        return self.text.decode()


def fill_log(daemon):
    client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    for _ in range(ENOUGH):
        client.request("GET", "/health/live", headers={"X-Request-Id": "x" * 128})
        assert client.getresponse().read()
    client.close()


@pytest.fixture(params=["order_svc", "delivery_svc"])
def daemon(request, parts):
    with System(parts, LOG_LEVEL="debug", SHUTDOWN_TIMEOUT=f"{TIMEOUT}s") as system:
        one = getattr(system, request.param)()
        one.pipe = Pipe(system.folder, one)
        one.start()
        yield one


def test_nobody_waits_for_whoever_reads_the_log(daemon):
    fill_log(daemon)
    assert daemon.is_live()
    eventually(daemon.is_ready)
    begin = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begin < TIMEOUT
    assert daemon.pipe.close() == ""


def test_what_was_dropped_is_told(daemon):
    fill_log(daemon)
    daemon.pipe.read()
    eventually(lambda: b"log line(s) were dropped" in daemon.pipe.text, what="the report")
    daemon.stop()
    assert '"body":"stopped"' in daemon.pipe.close()
