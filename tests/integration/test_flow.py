"""An order on its way through both daemons: by the carrier, by hand, with replicas, over restarts; the wire contract."""

import json
import uuid

import pytest
from harness import TIMESTAMP, UUID, Load, System, basket, eventually, order_created, status_update

DELIVERED = ["PROCESSING", "SHIPPED", "DELIVERED"]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def statuses(system, order_id):
    """The statuses in an order's audit trail, repetitions left out."""
    rows = system.query("SELECT status FROM delivery_events WHERE order_id = %s ORDER BY id", order_id)
    return [row[0] for i, row in enumerate(rows) if i == 0 or rows[i - 1] != row]


def assert_all_delivered(system, order_ids):
    """Every order arrived, each by one shipment that went through every status once, and nothing is left over."""
    system.all_delivered()
    assert system.query("SELECT count(*) FROM orders WHERE id = ANY(%s::uuid[])", order_ids) == [(len(order_ids),)]
    assert system.query("SELECT count(*), count(DISTINCT order_id) FROM shipments WHERE order_id = ANY(%s::uuid[])",
                        order_ids) == [(len(order_ids), len(order_ids))]
    assert all(statuses(system, order_id) == DELIVERED for order_id in order_ids)
    system.drain()


def test_carrier_takes_an_order_to_its_customer(system):
    order_id = system.client().created()
    order = eventually(lambda: (o := system.client().order(order_id))["status"] == "DELIVERED" and o)
    shipment = system.deliveries().shipment(order_id)
    assert shipment["status"] == "DELIVERED" and shipment["delivered_at"]
    assert shipment["tracking_number"] and shipment["carrier"]
    assert (order["tracking_number"], order["carrier"]) == (shipment["tracking_number"], shipment["carrier"])
    assert statuses(system, order_id) == DELIVERED


def test_courier_takes_an_order_to_its_customer_by_hand(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    assert (shipment["status"], shipment["tracking_number"]) == ("PROCESSING", None)
    assert api.order(order_id)["status"] == "PENDING_SHIPMENT"
    deliveries.move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
    order = eventually(lambda: (o := api.order(order_id))["status"] == "SHIPPED" and o)
    assert (order["tracking_number"], order["carrier"]) == ("T-1", "C")
    deliveries.move(shipment["id"], "DELIVERED")
    order = eventually(lambda: (o := api.order(order_id))["status"] == "DELIVERED" and o)
    assert (order["tracking_number"], order["carrier"]) == ("T-1", "C")


@pytest.mark.parametrize("last", ["SHIPPED", "DELIVERED"])
def test_corrected_tracking_reaches_the_order(by_hand, last):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    deliveries.move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
    if last == "DELIVERED":
        deliveries.move(shipment["id"], "DELIVERED")
    before = eventually(lambda: (o := api.get(f"/orders/{order_id}")).json()["status"] == last and o)
    assert deliveries.move(shipment["id"], last, tracking_number="T-2").status_code == 200
    order = eventually(lambda: (o := api.get(f"/orders/{order_id}")).json()["tracking_number"] == "T-2" and o)
    assert (order.json()["status"], order.json()["carrier"]) == (last, "C")
    assert order.headers["ETag"] != before.headers["ETag"]
    deliveries.move(shipment["id"], last, carrier="D")
    eventually(lambda: api.order(order_id)["carrier"] == "D")


@pytest.mark.parametrize("last", ["SHIPPED", "DELIVERED"])
def test_correction_whose_event_was_lost_reaches_the_order(parts, last):
    with System(parts, CARRIER_SIMULATION="false", RECONCILE_AFTER="2s") as system:
        system.start()
        order_id = system.client().created()
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        system.deliveries().move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
        if last == "DELIVERED":
            system.deliveries().move(shipment["id"], "DELIVERED")
        eventually(lambda: system.client().order(order_id)["status"] == last)
        system.order.stop()
        system.deliveries().move(shipment["id"], last, tracking_number="T-2")
        eventually(lambda: system.query("SELECT count(*) FROM delivery_outbox") == [(0,)])
        system.sqs.purge_queue(QueueUrl=system.queue_url("DELIVERY_STATUS_QUEUE"))
        system.order.start()
        eventually(lambda: system.client().order(order_id)["tracking_number"] == "T-2")
        system.query("UPDATE delivery_corrections SET quiet_since = now() - interval '1 h',"
                     " corrected_at = now() - interval '2 days'")
        eventually(lambda: system.query("SELECT count(*) FROM delivery_corrections") == [(0,)], what="the last repetition")


def test_shipment_sent_by_hand_is_delivered_by_the_carrier(parts):
    with System(parts, CARRIER_ASSIGN_DELAY="1h") as system:
        system.start()
        order_id = system.client().created()
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        system.deliveries().move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
        eventually(lambda: system.client().order(order_id)["status"] == "DELIVERED")
        assert system.client().order(order_id)["tracking_number"] == "T-1"


def test_two_replicas_of_each_share_the_work(parts):
    with System(parts) as system:
        system.start()
        system.order_svc().start()
        system.delivery_svc().start()
        clients = [system.client(daemon=daemon) for daemon in system.daemons if daemon.program == system.order.program]
        order_ids = [clients[i % 2].created() for i in range(100)]
        assert_all_delivered(system, order_ids)
        for client in clients:
            assert client.order(order_ids[0])["status"] == "DELIVERED"


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("which", ["order", "delivery"])
def test_restart_in_the_middle_loses_nothing(parts, which, end):
    with System(parts, CARRIER_SHIP_DELAY="500ms") as system:
        system.start()
        order_ids = [system.client().created() for _ in range(30)]
        eventually(lambda: system.query("SELECT count(*) > 5 FROM shipments") == [(True,)])
        daemon = getattr(system, which)
        getattr(daemon, end)()
        daemon.start()
        assert_all_delivered(system, order_ids)


def test_progress_of_a_shipment_outlives_the_daemon(parts):
    with System(parts, CARRIER_SHIP_DELAY="1h") as system:
        system.start()
        order_id = system.client().created()
        eventually(lambda: (s := system.deliveries().shipment(order_id)) and s["tracking_number"])
        system.delivery.stop()
        system.query("UPDATE shipments SET next_transition_at = now()")
        system.delivery.start()
        assert_all_delivered(system, [order_id])


def stored_orders(system):
    return sorted(str(row[0]) for row in system.query("SELECT id FROM orders"))


def test_sigterm_under_load_answers_what_was_accepted_and_loses_nothing(parts):
    with System(parts) as system:
        system.start()
        load = Load(system)
        for daemon in (system.order, system.delivery):
            load.more(100)
            daemon.stop()
            daemon.start()
        load.more(100)
        answered = load.end()
        assert stored_orders(system) == sorted(answered)
        assert_all_delivered(system, answered)
        assert system.messages_in("ORDERS_DLQ") == system.messages_in("DELIVERY_STATUS_DLQ") == 0


def test_sigkill_under_load_loses_no_order_that_was_answered(parts):
    with System(parts) as system:
        system.start()
        load = Load(system)
        for daemon in (system.order, system.delivery):
            load.more(100)
            daemon.kill()
            daemon.start()
        load.more(100)
        answered, stored = load.end(), stored_orders(system)
        assert set(answered) <= set(stored)
        assert_all_delivered(system, stored)


def test_readiness_ends_before_the_port_closes(parts):
    with System(parts, SHUTDOWN_DELAY="5m", SHUTDOWN_TIMEOUT="10m") as system:
        system.start()
        order_id = system.client().created()
        for daemon in system.daemons:
            daemon.terminate()
            eventually(lambda: daemon.health("/health/ready") == 503)
            assert daemon.is_live()
        assert system.client().order(order_id)["id"] == order_id
        for daemon in system.daemons:
            daemon.terminate()  # a second signal does not wait
            assert daemon.process.wait(60) == 1
            daemon.process = None


# The wire contract, as a stranger on either side of the queues sees it

def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def test_order_created_on_the_wire(parts):
    with System(parts) as system:
        system.order_svc().start()
        headers = {"X-Request-Id": "wire-1", "traceparent": TRACEPARENT}
        order = system.client().order(system.client().created(basket("customer-demo-001"), headers=headers))
        message, = system.receive("ORDERS_QUEUE", 1)
        event = json.loads(message["Body"])
        assert event.keys() == {"eventType", "eventId", "orderId", "customerId", "items", "totalAmount", "timestamp",
                                "clientId"}
        assert event["clientId"] == "demo-client"
        assert event["eventType"] == "ORDER_CREATED"
        assert (event["orderId"], event["customerId"]) == (order["id"], "customer-demo-001")
        assert (event["items"], event["totalAmount"]) == (order["items"], 1059.97)
        assert UUID.fullmatch(event["eventId"]) and TIMESTAMP.fullmatch(event["timestamp"])
        assert message["Attributes"]["MessageGroupId"] == order["id"]
        assert message["Attributes"]["MessageDeduplicationId"] == event["eventId"]
        assert attributes(message)["correlationId"] == "wire-1"
        assert attributes(message)["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


def test_order_status_update_on_the_wire(parts):
    with System(parts, CARRIER_SIMULATION="false") as system:
        system.delivery_svc().start()
        order_id = str(uuid.uuid4())
        system.send("ORDERS_QUEUE", order_created(order_id), order_id, correlationId="wire-2", traceparent=TRACEPARENT)
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        system.deliveries().move(shipment["id"], "SHIPPED")
        system.deliveries().move(shipment["id"], "DELIVERED", tracking_number="T-1", carrier="C")
        messages = system.receive("DELIVERY_STATUS_QUEUE", 2)
        shipped, delivered = (json.loads(message["Body"]) for message in messages)
        always = {"eventType", "eventId", "orderId", "previousStatus", "currentStatus", "timestamp"}
        assert shipped.keys() == always
        assert delivered.keys() == always | {"trackingNumber", "carrier"}
        assert (shipped["previousStatus"], shipped["currentStatus"]) == ("PENDING_SHIPMENT", "SHIPPED")
        assert (delivered["previousStatus"], delivered["currentStatus"]) == ("SHIPPED", "DELIVERED")
        assert (delivered["trackingNumber"], delivered["carrier"]) == ("T-1", "C")
        for message, event in zip(messages, (shipped, delivered)):
            assert (event["eventType"], event["orderId"]) == ("ORDER_STATUS_UPDATE", order_id)
            assert message["Attributes"]["MessageGroupId"] == order_id
            assert message["Attributes"]["MessageDeduplicationId"] == event["eventId"]
            assert attributes(message)["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]
        assert shipped["eventId"] != delivered["eventId"]


def test_request_id_of_the_order_reaches_its_status_events(parts):
    with System(parts) as system:
        system.order_svc().start()
        order_id = system.client().created(headers={"X-Correlation-Id": "from-the-shop"})
        system.order.stop()
        system.delivery_svc().start()
        eventually(lambda: system.has_queue("DELIVERY_STATUS_QUEUE"))
        for message in system.receive("DELIVERY_STATUS_QUEUE", 2):
            assert attributes(message)["correlationId"] == "from-the-shop"
            assert json.loads(message["Body"])["orderId"] == order_id


# What arrives twice, late or not at all in order

def test_event_of_another_century_changes_the_order(by_hand):
    """Its age in nanoseconds does not fit into 64 bits."""
    order_id = by_hand.client().created()
    by_hand.send("DELIVERY_STATUS_QUEUE", status_update(order_id, timestamp="1700-01-02T03:04:05.678Z"), order_id)
    eventually(lambda: by_hand.client().order(order_id)["status"] == "SHIPPED")


def test_duplicate_late_and_unknown_status_events_change_nothing(by_hand):
    api = by_hand.client()
    order_id = api.created()
    for event in (status_update(order_id, "DELIVERED", "SHIPPED", trackingNumber="T-1", carrier="C"),
                  status_update(order_id, "SHIPPED"), status_update(order_id, "DELIVERED", "SHIPPED")):
        by_hand.send("DELIVERY_STATUS_QUEUE", event, order_id)
    by_hand.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "DELIVERED"), order_id)
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    etag = api.get(f"/orders/{order_id}").headers["ETag"]
    eventually(lambda: by_hand.messages_in("DELIVERY_STATUS_QUEUE") == 0)
    order = api.get(f"/orders/{order_id}")
    assert (order.json()["status"], order.json()["tracking_number"], order.headers["ETag"]) == ("DELIVERED", "T-1", etag)
