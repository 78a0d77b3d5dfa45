"""A queue that gives up a message after another number of receives than the setting: its own number counts."""

import json

import pytest
from harness import PrivateParts, System, basket, eventually


def create_queue(system, knob, dlq_knob, receives):
    """As an operator does, who knows another number."""
    dead = system.sqs.create_queue(QueueName=system.settings[dlq_knob], Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = system.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
    return system.sqs.create_queue(QueueName=system.settings[knob],
                                   Attributes={"FifoQueue": "true", "RedrivePolicy": policy})["QueueUrl"]


def warnings(daemon, receives):
    return [line for line in daemon.log_lines() if line["severity_text"] == "WARN"
            and f"gives a message up after {receives} receive(s), whatever SQS_MAX_RECEIVE_COUNT says (3)" in line["body"]]


@pytest.mark.parametrize("program, queue, dlq", [("delivery", "ORDERS_QUEUE", "ORDERS_DLQ"),
                                                 ("order", "DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ")])
def test_difference_is_told_once(parts, program, queue, dlq):
    with System(parts) as system:
        create_queue(system, queue, dlq, 5)
        daemon = getattr(system.start(), program)
        line, = eventually(lambda: warnings(daemon, 5))
        assert system.settings[queue] in line["body"]
        client = system.client()
        orders = [client.created() for _ in range(12)]
        for order in orders:
            eventually(lambda o=order: client.order(o)["status"] == "DELIVERED")
        assert len(warnings(daemon, 5)) == 1


def test_no_difference_is_not_told(parts):
    with System(parts) as system:
        client = system.start().client()
        order = client.created()
        eventually(lambda: client.order(order)["status"] == "DELIVERED")
        assert "whatever SQS_MAX_RECEIVE_COUNT says" not in system.order.log_text() + system.delivery.log_text()


def test_one_receive_is_enough_while_the_database_is_away():
    """The message was received when the database went, and may be received no second time."""
    own = PrivateParts()
    try:
        with System(own, SQS_VISIBILITY_TIMEOUT="30s") as system:
            create_queue(system, "ORDERS_QUEUE", "ORDERS_DLQ", 1)
            client = system.start().client()
            eventually(lambda: warnings(system.delivery, 1))
            order = client.created(basket())
            own.stop("postgres")
            own.start("postgres")
            eventually(lambda: client.get(f"/orders/{order}").status_code == 200)
            eventually(lambda: client.order(order)["status"] == "DELIVERED")
            assert not system.take("ORDERS_DLQ", lambda messages: True)
    finally:
        own.close()
