"""A relay has several calls to SQS in flight. The events of a group stay in order, also when one of the calls is slow or fails."""

import collections
import http.server
import json
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest
from harness import PATIENCE, System, eventually

GROUPS, EVENTS = 40, 60  # several pages: a relay begins with one call at a time, also after a failure
HELD = 0.02  # seconds that each call takes at least, so that others come meanwhile


class Gate(http.server.ThreadingHTTPServer):
    """Stands before an SQS server and passes requests on. It notes which groups are in flight, and spoils a few calls."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.url = behind, f"http://127.0.0.1:{self.server_port}"
        self.lock, self.in_flight, self.most, self.overlaps = threading.Lock(), [], 0, []
        self.fates = collections.deque()  # of the next calls that come while another one is in flight
        self.spoiled = []

    def enter(self, groups):
        """Returns what becomes of the call."""
        with self.lock:
            self.overlaps += [groups & others for others in self.in_flight if groups & others]
            self.in_flight.append(groups)
            self.most = max(self.most, len(self.in_flight))
            if len(self.in_flight) == 1 or not self.fates:
                return None
            self.spoiled.append(self.fates.popleft())
            return self.spoiled[-1]

    def leave(self, groups):
        with self.lock:
            self.in_flight.remove(groups)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.headers["X-Amz-Target"].endswith("SendMessageBatch"):
            return self.answer(*self.ask(body))
        groups = {entry["MessageGroupId"] for entry in json.loads(body)["Entries"]}
        fate = self.server.enter(groups)
        try:
            time.sleep(1 if fate == "slow" else HELD)
            if fate == "unavailable":
                reply = 503, b"{}"
            else:
                reply = self.ask(body)
        finally:
            self.server.leave(groups)  # before the answer, after which the next call may come
        if fate == "answer lost":
            reply = 503, b"{}"
        self.answer(*reply)

    def ask(self, body):
        request = urllib.request.Request(self.server.behind, body, dict(self.headers))
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

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


def write_events(system):
    """Events of all groups, in turn, numbered within their group."""
    groups = [str(uuid.uuid4()) for _ in range(GROUPS)]
    system.query("""INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
                    SELECT gen_random_uuid(), g, n, 'relay', '' FROM generate_series(0, %s) n, unnest(%s::uuid[]) g ORDER BY n""",
                 EVENTS - 1, groups)
    return groups


def received(system, groups):
    """The events of each group in the order in which they come, without repetitions. Ends when nothing comes any more."""
    seen, end = {group: [] for group in groups}, time.monotonic() + PATIENCE
    url = system.queue_url("ORDERS_QUEUE")
    while sum(map(len, seen.values())) < GROUPS * EVENTS and time.monotonic() < end:
        messages = system.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"],
                                              MessageSystemAttributeNames=["MessageGroupId"]).get("Messages", [])
        for message in messages:
            group = seen[message["Attributes"]["MessageGroupId"]]
            if int(message["Body"]) not in group:
                group.append(int(message["Body"]))
        if messages:
            end = time.monotonic() + PATIENCE
            system.sqs.delete_message_batch(QueueUrl=url, Entries=[
                {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)])
    return seen


def test_order_of_each_group_is_kept_with_several_calls_in_flight(parts, gate):
    gate.fates += ["slow", "unavailable", "answer lost"]
    with System(parts) as system:
        daemon = system.order_svc(SQS_ENDPOINT=gate.url, RELAY_CALLS="4")
        assert daemon.command("--migrate").returncode == 0
        groups = write_events(system)
        daemon.start()
        eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)], what="the relay")
        assert gate.most > 1, "no two calls were in flight together"
        assert gate.overlaps == []
        assert gate.spoiled == ["slow", "unavailable", "answer lost"]
        seen = received(system, groups)
        assert all(events == list(range(EVENTS)) for events in seen.values()), seen
        outages = [line["body"] for line in daemon.log_lines() if "relay of order_outbox is unavailable" in line["body"]]
        assert len(outages) == 2, outages  # one line for each failure
