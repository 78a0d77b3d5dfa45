"""A broker that forgets, repeats and reorders: orders arrive all the same. Dead letters, and the script for them."""

import json
import os
import re
import subprocess
import time
import uuid

import pytest
from harness import ROOT, PrivateParts, System, eventually, order_created, status_update, until_none_is_left

QUICKLY = {"RECONCILE_AFTER": "1s"}


def statuses(system):
    return dict(system.query("SELECT id::text, status FROM orders"))


def audit(system):
    return system.query("SELECT order_id::text, previous_status, status FROM delivery_events ORDER BY order_id, id")


@pytest.fixture(scope="module")
def forgetful():
    """Parts of one's own: ElasticMQ is made to forget."""
    private = PrivateParts()
    yield private
    private.close()


def purge(system, knob):
    system.sqs.purge_queue(QueueUrl=system.queue_url(knob))


def test_lost_order_created_is_announced_again(parts):
    with System(parts, **QUICKLY) as system:
        system.order_svc().start()
        order_ids = [system.client().created() for _ in range(20)]
        eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)])
        system.order.stop()
        purge(system, "ORDERS_QUEUE")
        system.delivery_svc().start()
        system.order.start()
        eventually(lambda: statuses(system) == dict.fromkeys(order_ids, "DELIVERED"))
        assert system.query("SELECT count(*), count(DISTINCT order_id) FROM shipments") == [(20, 20)]
        assert len(audit(system)) == 4 * 20


@pytest.mark.parametrize("lost", ["the shipment", "its leaving"])
def test_shipment_that_left_and_was_lost_does_not_leave_twice(parts, lost):
    """A failover lost it, or it was removed with old shipments while the order had not heard of its end."""
    with System(parts, CARRIER_SIMULATION="false", **QUICKLY) as system:
        system.start()
        order_id = system.client().created()
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        system.deliveries().move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
        eventually(lambda: statuses(system)[order_id] == "SHIPPED")
        if lost == "the shipment":
            system.query("DELETE FROM delivery_events")
            system.query("DELETE FROM shipments")
        else:
            system.query("DELETE FROM delivery_events WHERE status = 'SHIPPED'")
            system.query("UPDATE shipments SET status = 'PROCESSING', tracking_number = NULL, carrier = NULL")
        again = eventually(lambda: (found := system.deliveries().shipment(order_id)) and found["status"] == "SHIPPED" and found)
        assert (again["tracking_number"], again["carrier"]) == ("T-1", "C")
        assert audit(system) == [(order_id, None, "PROCESSING"), (order_id, "PROCESSING", "SHIPPED")]
        assert (again["id"] == shipment["id"]) == (lost == "its leaving")
        system.deliveries().move(again["id"], "DELIVERED")
        eventually(lambda: statuses(system)[order_id] == "DELIVERED")


@pytest.mark.parametrize("lost_from", ["PROCESSING", "SHIPPED"])
def test_lost_status_is_told_again(parts, lost_from):
    with System(parts, CARRIER_SIMULATION="false", **QUICKLY) as system:
        system.start()
        order_id = system.client().created()
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        if lost_from == "SHIPPED":
            system.deliveries().move(shipment["id"], "SHIPPED")
            eventually(lambda: statuses(system)[order_id] == "SHIPPED")
        system.order.stop()
        if lost_from == "PROCESSING":
            system.deliveries().move(shipment["id"], "SHIPPED")
        system.deliveries().move(shipment["id"], "DELIVERED", tracking_number="T-1", carrier="C")
        eventually(lambda: system.query("SELECT count(*) FROM delivery_outbox") == [(0,)])
        purge(system, "DELIVERY_STATUS_QUEUE")
        system.order.start()
        eventually(lambda: statuses(system)[order_id] == "DELIVERED")
        order = system.client().order(order_id)
        assert (order["tracking_number"], order["carrier"]) == ("T-1", "C")
        assert [row[2] for row in audit(system)] == ["PROCESSING", "SHIPPED", "DELIVERED"]


def test_restarts_of_a_broker_that_keeps_nothing_lose_nothing(forgetful):
    with System(forgetful, CARRIER_SHIP_DELAY="500ms", CARRIER_DELIVER_DELAY="500ms", **QUICKLY) as system:
        system.start()
        order_ids = []
        for _ in range(3):
            order_ids += [system.client().created() for _ in range(20)]
            forgetful.kill("elasticmq")
            subprocess.run(["rm", "-rf", f"{forgetful.folder}/elasticmq"], check=True)
            forgetful.start("elasticmq")
        eventually(lambda: statuses(system) == dict.fromkeys(order_ids, "DELIVERED"), timeout=300)
        assert system.query("SELECT count(*), count(DISTINCT order_id) FROM shipments") == [(60, 60)]
        assert len(audit(system)) == 4 * 60


def test_announcements_do_not_pile_up_while_sqs_is_away(parts):
    with System(parts, **QUICKLY) as system:
        system.order_svc(SQS_ENDPOINT="http://127.0.0.1:9").start()
        for _ in range(5):
            system.client().created()
        time.sleep(5)
        assert system.query("SELECT count(*) FROM order_outbox") == [(5,)]


def test_announcements_do_not_pile_up_while_delivery_is_away(parts):
    with System(parts, **QUICKLY) as system:
        system.order_svc().start()
        system.order_svc().start()
        order_ids = [system.client().created() for _ in range(5)]
        eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)])
        time.sleep(8)
        assert system.query("SELECT count(*) FROM order_outbox") == [(0,)]
        assert system.messages_in("ORDERS_QUEUE") == 5
        system.delivery_svc().start()
        eventually(lambda: statuses(system) == dict.fromkeys(order_ids, "DELIVERED"))


def test_orders_that_a_broker_forgot_do_not_wait_long(forgetful):
    with System(forgetful, RECONCILE_AFTER="1h", CARRIER_SIMULATION="false") as system:
        system.order_svc().start()
        before = system.client().created()
        system.query("UPDATE orders SET quiet_since = now() - interval '5 min'")
        order_ids = [system.client().created() for _ in range(120)]
        eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)])
        time.sleep(1.5)  # the reconciler has reached the queue since
        forgetful.kill("elasticmq")
        subprocess.run(["rm", "-rf", f"{forgetful.folder}/elasticmq"], check=True)
        forgetful.start("elasticmq")
        system.delivery_svc().start()
        until_none_is_left(lambda: [120 - system.query("SELECT count(*) FROM shipments")[0][0]], "recent orders without a shipment")
        assert system.query("SELECT count(*) FROM shipments WHERE order_id = %s", before) == [(0,)]
        system.drain()
        created = [line for line in system.order.log_lines() if "re-announcing" in line["body"]]
        assert len(created) >= 2, "a pass takes 100 orders"
        assert sum(int(line["body"].split()[1]) for line in created) == len(order_ids), "each of them once"


def test_announcements_become_rarer_and_end_with_the_delivery(parts):
    with System(parts, **QUICKLY) as system:
        system.order_svc(SQS_WAIT_TIME="1s").start()
        order_id = system.client().created()
        eventually(lambda: system.has_queue("ORDERS_QUEUE"))
        events = system.take("ORDERS_QUEUE", lambda got: len(got) >= 4)
        assert {json.loads(event["Body"])["orderId"] for event in events} == {order_id}
        assert len({json.loads(event["Body"])["eventId"] for event in events}) == len(events)
        (due,), = system.query("SELECT quiet_since - updated_at > interval '3 seconds' FROM orders")
        assert due, "the fourth announcement came when the order was 4 s old, the next comes at 8 s"
        system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "DELIVERED"), order_id)
        eventually(lambda: statuses(system)[order_id] == "DELIVERED")
        system.query("UPDATE orders SET quiet_since = quiet_since - interval '1 day'")
        waiting = system.client().created()
        system.take("ORDERS_QUEUE", lambda got: any(waiting in event["Body"] for event in got))
        announced = "SELECT quiet_since > created_at + interval '1 second' FROM orders WHERE id = %s"
        eventually(lambda: system.query(announced, waiting) == [(True,)])
        assert system.query(announced, order_id) == [(False,)]


def test_replays_in_any_order_change_nothing(system):
    order_id = system.client().created()
    eventually(lambda: statuses(system)[order_id] == "DELIVERED")
    system.drain()
    before = (system.query("SELECT * FROM shipments ORDER BY id"), audit(system),
              system.query("SELECT id, status, version, updated_at FROM orders ORDER BY id"))
    old = {"timestamp": "2020-01-02T03:04:05.678Z"}
    for _ in range(3):
        system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "DELIVERED", "SHIPPED", **old), order_id)
        system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "SHIPPED", **old), order_id)
        system.send("ORDERS_QUEUE", order_created(order_id, **old), order_id)
    system.drain()
    assert before == (system.query("SELECT * FROM shipments ORDER BY id"), audit(system),
                      system.query("SELECT id, status, version, updated_at FROM orders ORDER BY id"))
    assert system.messages_in("ORDERS_DLQ") == system.messages_in("DELIVERY_STATUS_DLQ") == 0


# Dead letters

HOPELESS = {
    "not JSON": "line 1, column 3: ", "[]": "the document is not an object", "{}": "eventType is not ",
    '{"eventType":"ORDER_CANCELLED"}': "eventType is not ", '{"eventType":["x"]}': "eventType is not ",
}


def dead_letters_of(system, knob, count):
    return {letter["Body"]: letter for letter in system.receive(knob, count)}


def dead_letter_lines(daemon, words, count):
    """Log lines with these words. A dead letter is in its queue before it is in the log."""
    def found():
        return [line for line in daemon.log_lines() if words in line["body"]]
    eventually(lambda: len(found()) >= count, what=f"{count} log lines")
    lines = found()
    assert len(lines) == count
    return lines


@pytest.mark.parametrize("daemon, queue, dead_letters, good", [
    ("delivery", "ORDERS_QUEUE", "ORDERS_DLQ", order_created()),
    ("order", "DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ", status_update(str(uuid.uuid4()))),
])
def test_hopeless_message_is_a_dead_letter_at_once_with_its_reason(system, daemon, queue, dead_letters, good):
    expected = HOPELESS | {
        json.dumps(good | {"version": 2}): "version is not 1",
        json.dumps(good | {"orderId": 7}): "orderId is not a UUID",
        json.dumps(good) + " " * 262144: "larger than 262144 bytes",
    }
    group = str(uuid.uuid4())
    for body in expected:
        system.send(queue, body, group, correlationId="poison-1")
    letters = dead_letters_of(system, dead_letters, len(expected))
    assert letters.keys() == expected.keys()
    for body, letter in letters.items():
        attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
        assert attributes["reason"].startswith(expected[body])
        assert attributes["correlationId"] == "poison-1"
        assert letter["Attributes"]["MessageGroupId"] == group
    lines = dead_letter_lines(getattr(system, daemon), group, len(expected))
    assert all("receive 1 of 3, dead letter number " in line["body"] for line in lines)
    numbers = [int(re.search(r"dead letter number (\d+)", line["body"])[1]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(expected)))


def test_ten_of_the_largest_messages_in_one_answer_stop_nobody(parts):
    with System(parts) as system:
        system.order_svc().start()
        eventually(lambda: system.has_queue("ORDERS_QUEUE"))
        for _ in range(12):
            system.send("ORDERS_QUEUE", '"' * 1_000_000)
        order_id = system.client().created()
        system.delivery_svc().start()
        eventually(lambda: statuses(system)[order_id] == "DELIVERED")
        letters = system.receive("ORDERS_DLQ", 12)
        assert {letter["MessageAttributes"]["reason"]["StringValue"] for letter in letters} == {"larger than 262144 bytes"}


def test_status_of_an_unknown_order_is_a_dead_letter_at_once(system):
    order_id = str(uuid.uuid4())
    system.send("DELIVERY_STATUS_QUEUE", status_update(order_id), order_id)
    (letter,) = system.receive("DELIVERY_STATUS_DLQ", 1)
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "there is no such order"
    (line,) = dead_letter_lines(system.order, f"{order_id} failed", 1)
    assert re.search(r"receive 1 of 3, dead letter number \d+ .*: there is no such order$", line["body"])


class Dlq:
    """scripts/dlq.sh on the queues of a system."""

    def __init__(self, system):
        names = ("ORDERS_QUEUE", "ORDERS_DLQ", "DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ", "REVOCATIONS_QUEUE",
                 "REVOCATIONS_DLQ", "SQS_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        self.environment = os.environ | {name: system.settings[name] for name in names if name in system.settings}

    def __call__(self, *arguments, code=0):
        result = subprocess.run([ROOT / "scripts/dlq.sh", *arguments], env=self.environment, capture_output=True,
                                text=True, timeout=120)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout


def test_script_lists_shows_redrives_and_purges(parts):
    with System(parts, CARRIER_SIMULATION="false") as system:
        system.start()
        dlq, order_id = Dlq(system), str(uuid.uuid4())
        assert "orders 0" in " ".join(dlq("list").split())
        good = order_created(order_id)
        url = system.queue_url("ORDERS_DLQ")
        for body, group in ((json.dumps(good), order_id), ("poison ü \\ \"", "g1"), ("poison ü \\ \"", "g1")):
            system.sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group,
                                    MessageDeduplicationId=str(uuid.uuid4()),
                                    MessageAttributes={"reason": {"DataType": "String", "StringValue": "because"},
                                                       "correlationId": {"DataType": "String", "StringValue": "c-1"}})
        assert "orders 3" in " ".join(dlq("list").split())
        for _ in range(2):  # looking takes nothing away
            shown = [json.loads(line) for line in dlq("show", "orders").splitlines()]
            assert sorted(letter["body"] for letter in shown) == sorted([json.dumps(good), *["poison ü \\ \""] * 2])
            assert {letter["reason"] for letter in shown} == {"because"}
        dlq("redrive", "orders")
        eventually(lambda: system.deliveries().shipment(order_id))
        assert system.query("SELECT correlation_id FROM shipments") == [("c-1",)]
        eventually(lambda: system.messages_in("ORDERS_DLQ") == 2, what="return of the poison")
        dlq("purge", "orders")
        eventually(lambda: system.messages_in("ORDERS_DLQ") == 0)
        assert dlq("show", "orders") == ""
        assert dlq("redrive", "delivery-status") == "0 messages redriven\n"
        dlq("redrive", "nothing", code=1)
        dlq(code=1)
