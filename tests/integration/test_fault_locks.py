"""A table or an order that somebody locks costs no message one of its receives."""

import uuid

import pytest
from harness import System, eventually, status_update


@pytest.fixture
def strict(parts):
    """A system in which a message that is given back once becomes a dead letter."""
    with System(parts, SQS_MAX_RECEIVE_COUNT="1", SQS_VISIBILITY_TIMEOUT="30s", DB_LOCK_TIMEOUT="100ms") as both:
        both.order_svc().start()
        both.await_queue("DELIVERY_STATUS_QUEUE")
        yield both


@pytest.mark.parametrize("count", [1, 5])
def test_messages_wait_for_a_locked_table(strict, count):
    api = strict.client()
    orders = [api.created(key=str(uuid.uuid4())) for _ in range(count)]

    def has_tried():
        lines = [line["body"] for line in strict.order.log_lines()]
        return any("consumer of" in line and ("is unavailable" in line or "dead letter" in line) for line in lines)

    with strict.parts.connect(strict.name) as holder, holder.transaction():
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        for order_id in orders:
            strict.send("DELIVERY_STATUS_QUEUE", status_update(order_id), order_id)
        eventually(has_tried, what="an attempt at the locked table")
    for order_id in orders:
        eventually(lambda order_id=order_id: api.order(order_id)["status"] == "SHIPPED", what="the status")
    assert strict.messages_in("DELIVERY_STATUS_DLQ") == 0


def test_one_order_that_somebody_holds_keeps_no_other_waiting(strict):
    api = strict.client()
    held, *orders = [api.created(key=str(uuid.uuid4())) for _ in range(12)]

    def ship(some):
        for order_id in some:
            strict.send("DELIVERY_STATUS_QUEUE", status_update(order_id), order_id)
        for order_id in some:
            eventually(lambda order_id=order_id: api.order(order_id)["status"] == "SHIPPED", what="the status of the others")

    with strict.parts.connect(strict.name) as holder, holder.transaction():
        holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", [held])
        strict.send("DELIVERY_STATUS_QUEUE", status_update(held), held)
        ship(orders[:6])
        ship(orders[6:])
        assert api.order(held)["status"] == "PENDING_SHIPMENT"
    eventually(lambda: api.order(held)["status"] == "SHIPPED", what="the status")
    assert strict.messages_in("DELIVERY_STATUS_DLQ") == 0
    lines = [line["body"] for line in strict.order.log_lines() if "consumer of" in line["body"] and "is unavailable" in line["body"]]
    assert len(lines) == 1, lines
