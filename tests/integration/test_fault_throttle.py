"""An SQS that throttles: it is asked less and less often, orders are taken meanwhile, and their events arrive later."""

import collections
import http.server
import threading
import time
import urllib.error
import urllib.request

import pytest
from harness import System, eventually


class Gate(http.server.ThreadingHTTPServer):
    """Stands before an SQS server, passes requests on, and refuses them while it throttles."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.throttles, self.refused = behind, False, collections.Counter()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.throttles:
            self.server.refused[self.headers["X-Amz-Target"].removeprefix("AmazonSQS.")] += 1
            return self.answer(400, b'{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}')
        request = urllib.request.Request(self.server.behind, body, dict(self.headers))
        try:
            with urllib.request.urlopen(request) as answer:
                self.answer(answer.status, answer.read())
        except urllib.error.HTTPError as answer:
            self.answer(answer.code, answer.read())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def gate(parts):
    server = Gate(parts.settings["SQS_ENDPOINT"])
    threading.Thread(target=server.serve_forever).start()
    yield server
    server.shutdown()
    server.server_close()


def test_throttled_queue_is_asked_less_often_and_orders_arrive_later(parts, gate):
    with System(parts) as system:
        daemon, api = system.order_svc(SQS_ENDPOINT=gate.url).start(), system.client()
        system.delivery_svc().start()
        order_ids = [api.created()]
        delivered = "SELECT count(*) FROM orders WHERE status = 'DELIVERED'"
        eventually(lambda: system.query(delivered) == [(1,)])
        gate.throttles = True
        order_ids += [api.created() for _ in range(20)]
        time.sleep(5)  # some retries, each after a longer pause; without one there would be thousands
        assert 2 <= gate.refused["SendMessageBatch"] <= 30
        # After a receive that failed, a call that takes no message is tried first. Health asks once a second, too.
        assert 1 <= gate.refused["ReceiveMessage"] <= 30
        assert 2 <= gate.refused["GetQueueAttributes"] <= 40
        reason = "relay of order_outbox is unavailable: queue: SendMessageBatch: HTTP 400, RequestThrottled"
        assert any(reason in line["body"] for line in daemon.log_lines())
        assert system.query("SELECT count(*) FROM order_outbox") == [(20,)]
        gate.throttles = False
        eventually(lambda: system.query(delivered) == [(len(order_ids),)])
