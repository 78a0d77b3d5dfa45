"""Parts that stop, freeze and come back; messages that are poison. No order is lost and the daemons recover alone."""

import contextlib
import json
import os
import signal
import uuid

import psycopg
import pytest
from harness import Load, PrivateParts, System, assert_problem, basket, eventually, order_created, status_update
from test_streams import Follower


@pytest.fixture(scope="module")
def parts():
    private = PrivateParts()
    yield private
    private.close()


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as both:
        yield both.start()


@pytest.fixture
def api(system):
    return system.client()


@contextlib.contextmanager
def outage(parts, part, how):
    """The part is away inside: it refuses connections (stop, kill) or answers nothing (freeze)."""
    getattr(parts, how)(part)
    try:
        yield
    finally:
        parts.thaw(part)
        parts.start(part)


def health(api):
    return api.get("/health").json()


def assert_delivered(system, order_id):
    status = "SELECT status FROM orders WHERE id = %s"  # a worker may still believe that the database is away
    eventually(lambda: system.query(status, order_id) == [("DELIVERED",)], what="delivery")


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_without_redis_everything_works(parts, system, api, how):
    key, body = str(uuid.uuid4()), basket()
    before = api.create(body, key)
    with outage(parts, "redis", how):
        eventually(lambda: health(api)["dependencies"] == {"database": True, "redis": False, "sqs": True})
        eventually(lambda: health(api)["status"] == "degraded")
        eventually(lambda: system.order.health() == system.order.health("/health/ready") == 200)
        replay = api.create(body, key)
        assert replay.content == before.content and replay.headers["Idempotent-Replayed"] == "true"
        during = api.create(basket(), str(uuid.uuid4()))
        assert during.status_code == 201
        assert_delivered(system, during.json()["order_id"])
        assert api.get("/orders").status_code == 200
    eventually(lambda: health(api)["status"] == "healthy")


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_without_sqs_orders_are_accepted_and_shipped_later(parts, system, api, how):
    system.drain()  # ElasticMQ keeps its messages in memory, and a test may not lose them
    with outage(parts, "elasticmq", how):
        eventually(lambda: not health(api)["dependencies"]["sqs"])
        eventually(lambda: not health(system.deliveries())["dependencies"]["sqs"])
        order_ids = [api.created() for _ in range(20)]
        for daemon in system.daemons:
            eventually(lambda d=daemon: d.health() == d.health("/health/ready") == 200)
        assert api.order(order_ids[0])["status"] == "PENDING_SHIPMENT"
        assert system.query("SELECT count(*) FROM order_outbox") == [(20,)]
        assert system.deliveries().shipment(order_ids[0]) is None
    for order_id in order_ids:
        assert_delivered(system, order_id)
    eventually(lambda: health(api)["status"] == health(system.deliveries())["status"] == "healthy")


@pytest.mark.parametrize("how", ["stop", "kill", "freeze"])
def test_without_postgresql_503_then_recovery(parts, system, api, how):
    order_id, deliveries = api.created(), system.deliveries()
    assert_delivered(system, order_id)
    body, key = basket(), str(uuid.uuid4())
    known = api.create(body, key=key).json()
    with outage(parts, "postgres", how):
        replay = api.create(body, key=key)  # Redis knows it
        assert (replay.status_code, replay.json(), replay.headers["Idempotent-Replayed"]) == (201, known, "true")
        assert_problem(api.create(key=key), 422, "IDEMPOTENCY_KEY_REUSED")
        for response in (api.create(), api.get(f"/orders/{uuid.uuid4()}"), deliveries.get(f"/delivery/shipment/{order_id}")):
            assert_problem(response, 503, "UNAVAILABLE")
            assert int(response.headers["Retry-After"]) >= 1
        for daemon in system.daemons:
            eventually(lambda: daemon.health("/health/ready") == 503)
            assert daemon.health("/health") == 503
            assert daemon.is_live()
        assert health(api)["status"] == "unhealthy"
    for daemon in system.daemons:
        eventually(daemon.is_ready)
    eventually(lambda: api.get(f"/orders/{order_id}").status_code == 200)
    order_id = eventually(lambda: (response := api.create()).status_code == 201 and response.json()["order_id"])
    assert_delivered(system, order_id)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_crash_of_postgresql_under_load_loses_no_order_that_was_answered(parts, how):
    with System(parts) as system:
        system.start()
        load = Load(system)
        load.more(200)
        with outage(parts, "postgres", how):
            eventually(lambda: system.order.health("/health/ready") == 503)
        load.more(200)
        answered = load.end()
        stored = [str(row[0]) for row in system.query("SELECT id FROM orders")]
        assert set(answered) <= set(stored)
        system.all_delivered()
        assert system.query("SELECT count(*), count(DISTINCT order_id) FROM shipments") == [(len(stored),) * 2]


def test_outage_of_postgresql_does_not_make_dead_letters_of_good_messages(parts):
    with System(parts) as system:
        system.delivery_svc().start()
        order_ids = [str(uuid.uuid4()) for _ in range(5)]
        with outage(parts, "postgres", "stop"):
            for order_id in order_ids:
                system.send("ORDERS_QUEUE", order_created(order_id), order_id)
            eventually(lambda: system.delivery.health("/health/ready") == 503)
        for order_id in order_ids:
            eventually(lambda: system.query("SELECT 1 FROM shipments WHERE order_id = %s", order_id))
        assert system.messages_in("ORDERS_DLQ") == 0
        words = [line["body"] for line in system.delivery.log_lines() if "consumer of" in line["body"]]
        assert sum("orders.fifo is unavailable: database: " in each for each in words) == 1, words


def test_no_request_fails_once_postgresql_is_back(parts, system, api):
    order_id = api.created()
    with outage(parts, "postgres", "stop"):
        pass  # no request met the outage: every worker still holds a connection of before
    for daemon in system.daemons:
        eventually(daemon.is_ready)
    answers = [api.get(f"/orders/{order_id}") for _ in range(20)]
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    assert api.create().status_code == 201


def poison(good):
    """Messages that no daemon can apply."""
    return ["not JSON", "[]", "{}", '{"eventType":"SOMETHING_ELSE"}', "[" * 5000,
            json.dumps({k: v for k, v in good.items() if k != "orderId"}), json.dumps(good | {"orderId": "no-uuid"})]


@pytest.mark.parametrize("queue, dead_letters, good", [
    ("ORDERS_QUEUE", "ORDERS_DLQ", order_created()),
    ("DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ", status_update(str(uuid.uuid4()))),
])
def test_poison_goes_to_the_dead_letters_and_stops_nobody(system, api, queue, dead_letters, good):
    bodies = poison(good)
    for body in bodies:
        system.send(queue, body)
    order_id = api.created()
    assert_delivered(system, order_id)
    dead = system.receive(dead_letters, len(bodies))
    assert sorted(message["Body"] for message in dead) == sorted(bodies)
    system.drain()


def test_poison_blocks_its_own_group_only_until_it_is_a_dead_letter(system):
    order_id = str(uuid.uuid4())
    system.send("ORDERS_QUEUE", "poison", order_id)
    system.send("ORDERS_QUEUE", order_created(order_id), order_id)
    eventually(lambda: system.deliveries().shipment(order_id))
    assert [message["Body"] for message in system.receive("ORDERS_DLQ", 1)] == ["poison"]


def restart_inside(parts):
    """One session is killed. The server ends all others and recovers, but its postmaster lives: it began when it began."""
    with parts.connect("postgres") as victim:
        began, = victim.execute("SELECT pg_postmaster_start_time()").fetchone()
        os.kill(victim.info.backend_pid, signal.SIGKILL)

        def is_back():
            with contextlib.suppress(psycopg.Error), parts.connect("postgres") as again:
                return again.execute("SELECT pg_postmaster_start_time()").fetchone()
            return None

        eventually(lambda: is_back() == (began,), what="the server after its crash")


def test_numbers_of_transactions_that_left_no_trace_are_given_again(parts, system, api):
    """A reader of the feed is never ahead of what comes, although the server goes back to what is on its disk."""
    api.created()
    system.drain()
    with parts.connect(system.name) as session:
        for _ in range(5000):
            session.execute("SELECT pg_current_xact_id()")  # writes nothing
    position = api.get("/events?after=now").json()["next"]
    stream = Follower(api)
    restart_inside(parts)
    order_id = eventually(lambda: (a := api.create()).status_code == 201 and a.json()["order_id"])
    eventually(lambda: api.get(f"/orders/{order_id}/events").status_code == 200)
    eventually(lambda: [e for e in api.get(f"/events?after={position}").json().get("events", [])
                        if e["order_id"] == order_id and e["type"] == "order.created"], what="the order in the feed")
    eventually(lambda: any(data.get("order_id") == order_id for _, _, data in stream.events), what="the order in the stream")
    stream.close()
