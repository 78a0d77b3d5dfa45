"""What Redis keeps of orders that were read: only what can never be out of date."""

from harness import eventually


def views(system):
    return {name.decode().removeprefix("order:view:") for name in system.redis.scan_iter("order:view:*")}


def test_order_that_moves_is_never_in_redis_and_a_delivered_one_is(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for status in ("PENDING_SHIPMENT", "SHIPPED"):
        eventually(lambda: api.order(order_id)["status"] == status)
        assert order_id not in views(by_hand)
        deliveries.move(shipment["id"], "SHIPPED" if status == "PENDING_SHIPMENT" else "DELIVERED")
    eventually(lambda: order_id in views(by_hand), what="the view of a delivered order")
    assert api.order(order_id)["status"] == "DELIVERED"
