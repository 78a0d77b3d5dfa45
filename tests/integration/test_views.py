"""What Redis and the process keep of orders: only what can never be out of date."""

from harness import System, assert_problem, basket, eventually


def views(system):
    """The orders in Redis. A key ends with the identity of the database."""
    return {name.decode().split(":")[2] for name in system.redis.scan_iter("order:view:*")}


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


def forget(system, order_id):
    """Neither Redis nor PostgreSQL knows the order any more."""
    for table, column in ("idempotency_keys", "order_id"), ("order_items", "order_id"), ("orders", "id"):
        system.query(f"DELETE FROM {table} WHERE {column} = %s", order_id)
    system.redis.flushdb()


def test_delivered_order_is_answered_from_memory_to_its_own_client_only(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for status in ("SHIPPED", "DELIVERED"):
        deliveries.move(shipment["id"], status)
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    before = api.get(f"/orders/{order_id}")
    forget(by_hand, order_id)
    after = api.get(f"/orders/{order_id}")
    assert (after.status_code, after.content, after.headers["ETag"]) == (200, before.content, before.headers["ETag"])
    assert api.get(f"/orders/{order_id}", headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    stranger = by_hand.client("other-client")
    assert_problem(stranger.get(f"/orders/{order_id}"), 404, "ORDER_NOT_FOUND")
    assert by_hand.client("other-client", scope="order:read order:read:all").get(f"/orders/{order_id}").status_code == 200


def test_order_on_its_way_is_never_answered_from_memory(by_hand):
    api = by_hand.client()
    order_id = api.created()
    assert api.order(order_id)["status"] == "PENDING_SHIPMENT"
    by_hand.drain()
    forget(by_hand, order_id)
    assert_problem(api.get(f"/orders/{order_id}"), 404, "ORDER_NOT_FOUND")


def test_replay_is_answered_from_memory_once_redis_was_asked(by_hand):
    api, body = by_hand.client(), basket()
    first, again = api.create(body, key="memory-1"), api.create(body, key="memory-1")
    by_hand.drain()
    forget(by_hand, first.json()["order_id"])
    last = api.create(body, key="memory-1")
    for replay in again, last:
        assert (replay.status_code, replay.content, replay.headers["Location"]) == \
            (201, first.content, first.headers["Location"])
        assert replay.headers["Idempotent-Replayed"] == "true"
    # Of others it knows nothing, and nobody else does any more.
    for other in by_hand.client("other-client").create(body, key="memory-1"), api.create(basket(), key="memory-1"):
        assert other.status_code == 201 and other.json()["order_id"] != first.json()["order_id"]


def test_replay_in_memory_ends_with_its_key(parts):
    with System(parts, IDEMPOTENCY_TTL="8s") as system:
        system.order_svc().start()
        api, body = system.client(), basket()
        first = api.create(body, key="short")
        assert [api.create(body, key="short").json() for _ in range(3)] == [first.json()] * 3
        new = eventually(lambda: (answer := api.create(body, key="short")).json() != first.json() and answer)
        assert "Idempotent-Replayed" not in new.headers
