"""An SQS that throttles: it is asked less and less often, orders are taken meanwhile, and their events arrive later."""

import collections
import json
import time

import pytest
from harness import System, eventually
from sqs_gate import Gate


class Throttle(Gate):
    """Refuses requests while it throttles."""

    def __init__(self, behind):
        super().__init__(behind)
        self.throttles, self.refused = False, collections.Counter()

    def reply(self, action, body, ask):
        if not self.throttles:
            return ask()
        self.refused[action] += 1
        return 400, b'{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}'


@pytest.fixture
def gate(parts):
    with Throttle(parts.settings["SQS_ENDPOINT"]).opened() as server:
        yield server


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


class Late(Gate):
    """Its answers with messages come late."""

    def __init__(self, behind):
        super().__init__(behind)
        self.given = 0

    def reply(self, action, body, ask):
        status, text = ask()
        if action == "ReceiveMessage" and (messages := json.loads(text).get("Messages")):
            self.given += len(messages)
            time.sleep(7)  # longer than any other call may take
        return status, text


def test_late_answer_costs_no_receive(parts):
    with Late(parts.settings["SQS_ENDPOINT"]).opened() as gate, \
            System(parts, SQS_VISIBILITY_TIMEOUT="30s", CARRIER_SIMULATION="false") as system:
        system.order_svc().start()
        system.delivery_svc(SQS_ENDPOINT=gate.url).start()
        order_id = system.client().created()
        eventually(lambda: system.query("SELECT 1 FROM shipments WHERE order_id = %s", order_id), what="the shipment")
        eventually(lambda: system.messages_in("ORDERS_QUEUE") == 0)
        assert gate.given == 1
