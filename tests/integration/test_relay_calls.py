"""A relay has several calls to SQS in flight. The events of a group stay in order, also when one of the calls is slow or fails."""

import collections
import json
import threading
import time
import uuid

import pytest
from harness import PATIENCE, System, eventually, until_none_is_left
from sqs_gate import Gate

GROUPS, EVENTS = 40, 60  # several pages: a relay begins with one call at a time, also after a failure
HELD = 0.02  # seconds that each call takes at least, so that others come meanwhile


class SendGate(Gate):
    """Notes which groups are in flight, and spoils a few calls."""

    def __init__(self, behind):
        super().__init__(behind)
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

    def reply(self, action, body, ask):
        if action != "SendMessageBatch":
            return ask()
        groups = {entry["MessageGroupId"] for entry in json.loads(body)["Entries"]}
        fate = self.enter(groups)
        try:
            time.sleep(1 if fate == "slow" else HELD)
            answer = ask() if fate != "unavailable" else None
        finally:
            self.leave(groups)  # before the answer, after which the next call may come
        return (503, b"{}") if fate in ("unavailable", "answer lost") else answer


@pytest.fixture
def gate(parts):
    with SendGate(parts.settings["SQS_ENDPOINT"]).opened() as server:
        yield server


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
        until_none_is_left(lambda: system.query("SELECT count(*) FROM order_outbox")[0], "events to send")
        assert gate.most > 1, "no two calls were in flight together"
        assert gate.overlaps == []
        assert gate.spoiled == ["slow", "unavailable", "answer lost"]
        seen = received(system, groups)
        assert all(events == list(range(EVENTS)) for events in seen.values()), seen
        outages = [line["body"] for line in daemon.log_lines() if "relay of order_outbox is unavailable" in line["body"]]
        assert len(outages) == 2, outages  # one line for each failure


class RefusingGate(Gate):
    """Refuses a message for as long as it is told to, and notes what became of the messages of its group."""

    def __init__(self, behind):
        super().__init__(behind)
        self.group, self.refuses, self.refused, self.sent = str(uuid.uuid4()), True, 0, []

    def reply(self, action, body, ask):
        if action != "SendMessageBatch":
            return ask()
        call = json.loads(body)
        bad = [entry for entry in call["Entries"] if self.refuses and entry["MessageBody"] == "first"]
        call["Entries"] = [entry for entry in call["Entries"] if entry not in bad]
        self.refused += len(bad)
        self.sent += [entry["MessageBody"] for entry in call["Entries"] if entry["MessageGroupId"] == self.group]
        status, answer = ask(json.dumps(call).encode()) if call["Entries"] else (200, b'{"Successful": []}')
        failed = [{"Id": entry["Id"], "SenderFault": True, "Code": "InvalidMessageContents"} for entry in bad]
        return status, json.dumps(json.loads(answer) | {"Failed": failed}).encode() if bad else answer


def test_later_event_does_not_overtake_one_that_was_refused(parts):
    """Other groups flow meanwhile, so its row is far behind those that are read."""
    with RefusingGate(parts.settings["SQS_ENDPOINT"]).opened() as gate, System(parts) as system:
        daemon = system.order_svc(SQS_ENDPOINT=gate.url)
        assert daemon.command("--migrate").returncode == 0

        def write(text):
            system.query("""INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
                            VALUES (gen_random_uuid(), %s, %s, 'relay', '')""", gate.group, text)

        def write_others(count):
            system.query("""INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
                            SELECT gen_random_uuid(), gen_random_uuid(), 'other', 'relay', '' FROM generate_series(1, %s)""", count)

        write("first")
        write_others(2100)
        daemon.start()
        eventually(lambda: gate.refused)
        until_none_is_left(lambda: [system.query("SELECT count(*) FROM order_outbox")[0][0] - 1], "events of others to send")
        write("second")
        gate.refuses = False

        def flows():
            write_others(5)
            return len(gate.sent) >= 2

        eventually(flows, what="both events of the group")
        assert gate.sent == ["first", "second"]
