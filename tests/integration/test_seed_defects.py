"""What the proof of concept got wrong, one test for each of its thirteen defects."""

import json
import re
import signal
import uuid

import pytest
from harness import (ROOT, Api, System, assert_problem, at_once, basket, eventually, free_port, http, order_created)

NOWHERE = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def api(system):
    return system.client()


def test_01_idempotent_replay_answers_201_as_the_first_time(api):
    key, body = str(uuid.uuid4()), basket()
    first, replay = api.create(body, key), api.create(body, key)
    assert (replay.status_code, replay.content) == (201, first.content)


def test_02_same_basket_can_be_ordered_twice_but_never_by_accident(system, api):
    body = basket()
    first, second = (api.created(body, key=str(uuid.uuid4())) for _ in range(2))
    assert first != second
    raced = basket()
    answers = at_once([lambda: api.create(raced)] * 20)
    assert len({answer.json().get("order_id") for answer in answers if answer.status_code == 201}) == 1
    without_redis = system.order_svc(REDIS_PORT=str(free_port())).start()
    again = system.client(daemon=without_redis).create(raced)
    assert again.headers["Idempotent-Replayed"] == "true"
    without_redis.stop()


def test_03_order_accepted_while_sqs_is_away_is_shipped_once_it_returns(parts):
    with System(parts) as system:
        away = system.order_svc(SQS_ENDPOINT=NOWHERE).start()
        order_id = system.client().created()
        (event_id,), = system.query("SELECT event_id::text FROM order_outbox")
        away.stop()
        system.order_svc().start()
        message, = system.receive("ORDERS_QUEUE", 1)
        # An event's id is stored with it: sent again it is recognised, by the queue too.
        assert message["Attributes"]["MessageDeduplicationId"] == event_id
        assert json.loads(message["Body"])["eventId"] == event_id
        system.send("ORDERS_QUEUE", message["Body"], order_id)
        system.delivery_svc().start()
        eventually(lambda: system.query("SELECT 1 FROM orders WHERE status = 'DELIVERED'"))


def test_04_poison_order_blocks_no_other(system, api):
    for _ in range(20):
        system.send("ORDERS_QUEUE", "poison")
    order_id = api.created()
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    system.receive("ORDERS_DLQ", 20)


def test_05_message_that_fails_is_counted_and_then_a_dead_letter(system):
    event = order_created()
    system.query(f"ALTER TABLE shipments ADD CONSTRAINT never CHECK (order_id <> '{event['orderId']}')")
    system.send("ORDERS_QUEUE", event, event["orderId"])
    dead, = system.receive("ORDERS_DLQ", 1)
    assert json.loads(dead["Body"]) == event
    log = system.delivery.log_text()
    # ElasticMQ may have handed the first receive to a long poll that was over: that one nobody logged.
    assert all(f"{event['orderId']} failed, receive {n} of 3" in log for n in (2, 3))


def test_05_message_that_can_never_succeed_is_a_dead_letter_with_its_reason(system):
    system.send("ORDERS_QUEUE", "poison")
    dead, = system.receive("ORDERS_DLQ", 1)
    assert dead["Body"] == "poison"
    assert dead["MessageAttributes"]["reason"]["StringValue"]


def test_05_order_that_is_delivered_twice_is_no_failure(system):
    event = order_created()
    for _ in range(3):
        system.send("ORDERS_QUEUE", event, event["orderId"])
    eventually(lambda: system.messages_in("ORDERS_QUEUE") == 0)
    assert system.query("SELECT count(*) FROM shipments WHERE order_id = %s", event["orderId"]) == [(1,)]
    assert system.messages_in("ORDERS_DLQ") == 0


@pytest.mark.parametrize("daemon, queue", [("order_svc", "ORDERS_QUEUE"), ("delivery_svc", "DELIVERY_STATUS_QUEUE")])
def test_06_health_check_takes_no_message(parts, daemon, queue):
    with System(parts) as system:
        alone = getattr(system, daemon)().start()  # so nobody else takes one from the queue it publishes to
        eventually(lambda: system.has_queue(queue))
        system.send(queue, "message")
        for _ in range(20):
            assert alone.health() == 200
        message, = system.receive(queue, 1)
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_07_pile_of_messages_is_worked_off_each_once(parts):
    with System(parts, SQS_VISIBILITY_TIMEOUT="10s", SQS_MAX_RECEIVE_COUNT="1", CONSUMER_THREADS="4") as system:
        system.order_svc().start()
        order_ids = [system.client().created() for _ in range(200)]
        eventually(lambda: system.messages_in("ORDERS_QUEUE") == 200)
        system.delivery_svc().start()
        system.all_delivered()
        # A message that outlived its visibility would have been received twice, and be a dead letter now.
        assert system.messages_in("ORDERS_DLQ") == system.messages_in("DELIVERY_STATUS_DLQ") == 0
        assert system.query("SELECT count(DISTINCT order_id) FROM shipments WHERE order_id = ANY(%s::uuid[])",
                            order_ids) == [(200,)]


def test_08_audit_trail_is_written(system, api):
    order_id = api.created()
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    events = system.deliveries().get(f"/delivery/shipment/{order_id}/events").json()["events"]
    assert [event["status"] for event in events] == ["PROCESSING", "PROCESSING", "SHIPPED", "DELIVERED"]
    assert all(event["description"] and event["occurred_at"] for event in events)


def test_09_daemons_share_nothing_but_events(parts):
    with System(parts) as orders, System(parts) as shipments:
        orders.order_svc().start()
        queues = {knob: orders.settings[knob] for knob in orders.settings if knob.endswith(("_QUEUE", "_DLQ"))}
        shipments.delivery_svc(**queues).start()
        order_id = orders.client().created()
        eventually(lambda: orders.client().order(order_id)["status"] == "DELIVERED")
        assert orders.query("SELECT to_regclass('shipments')") == [(None,)]
        assert shipments.query("SELECT to_regclass('orders')") == [(None,)]


def test_10_queues_have_the_names_they_are_given(system):
    for knob in ("ORDERS_QUEUE", "ORDERS_DLQ", "DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ", "REVOCATIONS_QUEUE",
                 "REVOCATIONS_DLQ"):
        url = system.queue_url(knob)
        assert url.endswith("/" + system.settings[knob])
        answer = system.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["FifoQueue"])
        assert answer["Attributes"]["FifoQueue"] == "true"


def test_10_dotted_names_are_quoted_for_elasticmq():
    text = re.sub(r"#.*|//.*", "", (ROOT / "scripts/elasticmq.conf").read_text())
    assert not re.search(r'^\s*[\w-]+\.fifo\b', text, re.MULTILINE)


def test_11_status_never_goes_back_and_tracking_is_never_lost(system, api):
    order_id = api.created()
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    shipment = system.deliveries().shipment(order_id)
    assert shipment["tracking_number"] and shipment["carrier"]
    assert_problem(system.deliveries().move(shipment["id"], "PROCESSING"), 409, "INVALID_TRANSITION")
    assert system.deliveries().move(shipment["id"], "DELIVERED").json()["tracking_number"] == shipment["tracking_number"]
    assert system.deliveries().shipment(order_id) == shipment


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_12_restart_freezes_no_shipment_and_both_signals_drain(parts, number):
    with System(parts, CARRIER_SHIP_DELAY="300ms") as system:
        system.start()
        order_ids = [system.client().created() for _ in range(10)]
        eventually(lambda: system.query("SELECT 1 FROM shipments"))
        for daemon in system.daemons:
            daemon.process.send_signal(number)
            daemon.finish()
            daemon.start()
        eventually(lambda: system.query("SELECT count(*) FROM orders WHERE status = 'DELIVERED'") == [(len(order_ids),)])


def test_12_money_is_a_number_everywhere(api):
    created = api.create(basket(items=[{"product_id": "p", "quantity": 3, "unit_price": 0.1}]))
    order = api.get(created.headers["Location"])
    assert '"total_amount":0.30' in created.text.replace(" ", "")
    assert '"total_amount":0.30' in order.text.replace(" ", "")


def test_13_token_of_another_issuer_or_audience_is_refused(system):
    for claims in ({"iss": "elsewhere"}, {"aud": "elsewhere"}):
        assert_problem(Api(system.order.url, system.mint(**claims)).get("/orders"), 401, "INVALID_TOKEN")


def test_13_scopes_are_enforced(system):
    assert_problem(system.client(scope="order:read").create(), 403, "FORBIDDEN")


def test_13_order_is_its_clients_own(system, api):
    assert_problem(system.client("another-client").get(f"/orders/{api.created()}"), 404, "ORDER_NOT_FOUND")


def test_13_production_is_closed(system):
    closed = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false",
              "JWT_SECRET": "a-secret-of-production-that-is-long-enough"}
    order, delivery = system.order_svc(**closed).start(), system.delivery_svc(**closed).start()
    introspection = http("POST", f"{order.url}/auth/introspect", json={"token": "x"})
    assert (introspection.status_code, introspection.json()["error"]) == (401, "invalid_client")
    demo = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    assert http("POST", f"{order.url}/auth/token", json=demo).status_code == 401
    assert_problem(Api(delivery.url).get(f"/delivery/shipment/{uuid.uuid4()}"), 401, "UNAUTHORIZED")
    assert_problem(Api(delivery.url).move(uuid.uuid4(), "SHIPPED"), 401, "UNAUTHORIZED")
    order.stop()
    delivery.stop()


def test_13_no_page_of_another_origin_may_read_along(system, api):
    headers = {"Origin": "https://elsewhere.example"}
    for response in (api.get("/orders", headers=headers), http("GET", system.delivery.url + "/health", headers=headers)):
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


def test_13_ten_megabytes_are_refused(api):
    assert_problem(api.create(b" " * 10_000_000), 413, "PAYLOAD_TOO_LARGE")
