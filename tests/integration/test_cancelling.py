"""POST /orders/:id/cancel: who may, what is answered, what delivery-svc decides, and how lost messages are made up for."""

import time
import uuid

import pytest
from harness import System, assert_problem, at_once, basket, eventually, http, pointers, status_update

REFUSAL = "The shipment had left"


def cancel(api, order_id, **fields):
    return api.post(f"/orders/{order_id}/cancel", fields)


def has_status(api, order_id, status):
    return eventually(lambda: (o := api.order(order_id))["status"] == status and o, what=f"{order_id} {status}")


def history(api, order_id):
    return api.get(f"/orders/{order_id}/events").json()["events"]


def types(api, order_id):
    return [event["type"] for event in history(api, order_id)]


def agreed(system, order_id):
    rows = system.query("SELECT o.status, o.cancellation, s.status FROM orders o JOIN shipments s ON s.order_id = o.id"
                        " WHERE o.id = %s", order_id)
    return rows[0] if rows else None


def test_order_that_has_not_left_is_cancelled(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    eventually(lambda: deliveries.shipment(order_id))
    before = api.get(f"/orders/{order_id}")
    answer = cancel(api, order_id, reason="found it cheaper")
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"order_id": order_id, "status": "PENDING_SHIPMENT", "cancellation": "requested"}
    order = has_status(api, order_id, "CANCELLED")
    assert (order["cancellation"], order["cancellation_reason"]) == ("accepted", "found it cheaper")
    assert api.get(f"/orders/{order_id}").headers["ETag"] != before.headers["ETag"]
    assert deliveries.shipment(order_id)["status"] == "CANCELLED"
    again = cancel(api, order_id)
    assert (again.status_code, again.json()) == \
        (200, {"order_id": order_id, "status": "CANCELLED", "cancellation": "accepted"})
    trail = deliveries.get(f"/delivery/shipment/{order_id}/events").json()["events"]
    assert [(e["previous_status"], e["status"], e["description"], e["actor"]) for e in trail] == \
        [(None, "PROCESSING", "Shipment created", "order-events"),
         ("PROCESSING", "CANCELLED", "Cancelled", "demo-client")]


def test_history_tells_of_the_wish_and_of_the_decision(by_hand):
    api = by_hand.client()
    order_id = api.created()
    answer = cancel(api, order_id, reason="too late")
    has_status(api, order_id, "CANCELLED")
    events = eventually(lambda: len(e := history(api, order_id)) == 3 and e)
    assert [(e["type"], e["previous_status"], e["status"], e["actor"]) for e in events[1:]] == \
        [("order.cancel_requested", "PENDING_SHIPMENT", "PENDING_SHIPMENT", "client:demo-client"),
         ("order.cancelled", "PENDING_SHIPMENT", "CANCELLED", "delivery-service")]
    assert [e["data"] for e in events[1:]] == [{"reason": "too late"}, {"reason": "too late"}]
    assert events[1]["request_id"] == answer.headers["X-Request-Id"]
    trail = by_hand.deliveries().get(f"/delivery/shipment/{order_id}/events").json()["events"]
    assert trail[-1]["request_id"] == answer.headers["X-Request-Id"]
    assert events[1]["trace_id"] and events[2]["trace_id"]
    stored = by_hand.query("SELECT count(*) FROM order_events WHERE order_id = %s AND data LIKE %s", order_id, "%late%")
    assert stored == [(0,)], "the reason belongs to the order, where it can be erased"


def test_order_that_leaves_first_goes_on_and_says_why(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    # The parcel leaves, and order-svc does not hear of it.
    by_hand.query("UPDATE shipments SET status = 'SHIPPED', updated_at = now() WHERE id = %s", shipment["id"])
    assert cancel(api, order_id, reason="?").status_code == 202
    order = eventually(lambda: (o := api.order(order_id)).get("cancellation") == "refused" and o)
    assert (order["status"], order["cancellation_reason"]) == ("SHIPPED", "?")
    answer = cancel(api, order_id)
    assert (answer.status_code, answer.json()) == \
        (200, {"order_id": order_id, "status": "SHIPPED", "cancellation": "refused", "refusal": REFUSAL})
    assert types(api, order_id) == ["order.created", "order.cancel_requested", "order.shipped", "order.cancel_refused"]
    refused = history(api, order_id)[-1]
    assert (refused["previous_status"], refused["status"], refused["data"]) == \
        ("SHIPPED", "SHIPPED", {"reason": "?", "refusal": REFUSAL})
    deliveries.move(shipment["id"], "DELIVERED")
    assert has_status(api, order_id, "DELIVERED")["cancellation"] == "refused"


@pytest.mark.parametrize("status", ["SHIPPED", "DELIVERED"])
def test_order_that_has_left_cannot_be_cancelled(by_hand, status):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for step in ["SHIPPED", "DELIVERED"][:1 + (status == "DELIVERED")]:
        deliveries.move(shipment["id"], step)
    has_status(api, order_id, status)
    problem = assert_problem(cancel(api, order_id), 409, "INVALID_TRANSITION")
    assert status in problem["detail"]
    assert "cancellation" not in api.order(order_id)


def test_repeated_wishes_are_one(by_hand):
    api = by_hand.client()
    order_id = api.created()
    answers = at_once([lambda i=i: cancel(api, order_id, reason=f"reason {i}") for i in range(12)])
    assert {answer.status_code for answer in answers} <= {200, 202}
    order = has_status(api, order_id, "CANCELLED")
    assert order["cancellation_reason"] in [f"reason {i}" for i in range(12)]
    assert types(api, order_id).count("order.cancel_requested") == 1
    assert types(api, order_id).count("order.cancelled") == 1


def test_many_are_cancelled_while_they_are_made_and_shipped(system):
    api = system.client()

    def one():
        order_id = api.created()
        time.sleep(uuid.uuid4().int % 300 / 1000)  # the carrier of this system takes about so long
        answer = cancel(api, order_id)
        assert answer.status_code in (200, 202, 409), answer.text
        return order_id, answer.status_code

    asked = [pair for _ in range(4) for pair in at_once([one] * 12)]
    for order_id, status in asked:
        final = eventually(lambda: (a := agreed(system, order_id)) and a[0] in ("DELIVERED", "CANCELLED") and a)
        assert final[0] == final[2]
        if status == 409:
            assert final[:2] == ("DELIVERED", None)
        else:
            assert final[:2] in (("DELIVERED", "refused"), ("CANCELLED", "accepted"))


def test_shipment_that_was_never_announced_is_cancelled_all_the_same(parts):
    """ORDER_CREATED is lost. The message to cancel stands for it, and a late ORDER_CREATED changes nothing."""
    with System(parts, CARRIER_SIMULATION="false", RECONCILE_AFTER="1h") as system:
        system.order_svc().start()
        api = system.client()
        order_id = api.created()
        created, = system.receive("ORDERS_QUEUE", 1)
        assert cancel(api, order_id).status_code == 202
        system.delivery_svc().start()
        has_status(api, order_id, "CANCELLED")
        system.send("ORDERS_QUEUE", created["Body"], order_id)
        system.drain()
        assert agreed(system, order_id) == ("CANCELLED", "accepted", "CANCELLED")


@pytest.mark.parametrize("queue", ["ORDERS_QUEUE", "DELIVERY_STATUS_QUEUE"])
def test_lost_messages_are_made_up_for(parts, queue):
    with System(parts, CARRIER_SIMULATION="false", RECONCILE_AFTER="2s") as system:
        system.order_svc().start()
        api = system.client()
        order_id = api.created()
        if queue == "ORDERS_QUEUE":
            cancel(api, order_id)
            assert len(system.receive("ORDERS_QUEUE", 2)) == 2  # both are lost
            system.delivery_svc().start()
        else:
            system.delivery_svc().start()
            eventually(lambda: system.deliveries().shipment(order_id))
            system.order.stop()
            system.query("UPDATE shipments SET status = 'CANCELLED', next_transition_at = NULL, updated_at = now()"
                         " WHERE order_id = %s", order_id)  # and its event is lost
            api = system.client(daemon=system.order_svc().start())
        has_status(api, order_id, "CANCELLED")
        assert agreed(system, order_id)[2] == "CANCELLED"


def test_event_that_contradicts_a_cancelled_order_is_a_dead_letter(by_hand):
    api = by_hand.client()
    order_id = api.created()
    cancel(api, order_id)
    has_status(api, order_id, "CANCELLED")
    by_hand.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "SHIPPED"), order_id)
    letter, = by_hand.receive("DELIVERY_STATUS_DLQ", 1)
    assert order_id in letter["Body"]
    assert api.order(order_id)["status"] == "CANCELLED"


def test_warehouse_can_cancel_too(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    assert deliveries.move(shipment["id"], "CANCELLED").json()["status"] == "CANCELLED"
    order = has_status(api, order_id, "CANCELLED")
    assert "cancellation" not in order
    answer = cancel(api, order_id)
    assert (answer.status_code, answer.json()["cancellation"]) == (200, "accepted")
    problem = assert_problem(deliveries.move(shipment["id"], "SHIPPED"), 409, "INVALID_TRANSITION")
    assert problem["allowed"] == []


def test_cancelled_orders_are_listed(by_hand):
    api = by_hand.client()
    customer = f"customer-{uuid.uuid4()}"
    order_id, other = api.created(basket(customer)), api.created(basket(customer, items=[
        {"product_id": "p", "quantity": 1, "unit_price": 1}]))
    cancel(api, order_id)
    has_status(api, order_id, "CANCELLED")
    for filters in ("status=CANCELLED", f"status=CANCELLED&customer_id={customer}"):
        listed = [order["id"] for order in api.get(f"/orders?limit=100&{filters}").json()["orders"]]
        assert order_id in listed and other not in listed


def test_only_the_client_of_an_order_cancels_it(by_hand):
    order_id = by_hand.client().created()
    stranger = by_hand.client("another-client", "order:create order:read order:read:all")
    assert_problem(cancel(stranger, order_id), 404, "ORDER_NOT_FOUND")
    assert_problem(cancel(by_hand.client(scope="order:read"), order_id), 403, "FORBIDDEN")
    assert http("POST", f"{by_hand.order.url}/orders/{order_id}/cancel").status_code == 401
    assert "cancellation" not in by_hand.client().order(order_id)


def test_wishes_that_are_none(by_hand):
    api = by_hand.client()
    order_id = api.created()
    for unknown in (uuid.uuid4(), "not-a-uuid"):
        assert_problem(cancel(api, unknown), 404, "ORDER_NOT_FOUND")
    assert pointers(cancel(api, order_id, reason="x" * 256)) == {"/reason"}
    assert pointers(cancel(api, order_id, reason=7, why="?")) == {"/reason", "/why"}
    assert pointers(api.post(f"/orders/{order_id}/cancel", b"[]")) == {""}
    assert_problem(api.post(f"/orders/{order_id}/cancel", b"{}", headers={"Content-Type": "text/plain"}), 415,
                   "UNSUPPORTED_MEDIA_TYPE")
    assert_problem(api.post(f"/orders/{order_id}/cancel", {"reason": "x" * 5000}), 413, "PAYLOAD_TOO_LARGE")
    assert "cancellation" not in api.order(order_id)
    assert api.request("POST", f"/orders/{order_id}/cancel").status_code == 202  # nothing has to be said
    assert api.post(f"/orders/{order_id}/cancel", {"reason": "€" * 255}).status_code in (200, 202)
