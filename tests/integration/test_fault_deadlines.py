"""Black holes: a part takes connections and bytes and never says anything. Every call has a deadline, so that every request
is answered, what works without the part goes on, all recovers by itself, and a stop is not held up."""

import contextlib
import sys
import uuid

import pytest
from harness import ROOT, System, assert_problem, basket, eventually
from test_metrics import value

sys.path.append(str(ROOT / "tests/faults"))
from stage import Proxy  # noqa: E402 (found through the line above)

QUICKLY = {"DB_CONNECT_TIMEOUT": "1s", "DB_STATEMENT_TIMEOUT": "1s", "DB_LOCK_TIMEOUT": "500ms",
           "SHUTDOWN_TIMEOUT": "10s"}


@pytest.fixture(scope="module")
def proxy():
    process = Proxy()
    yield process
    process.close()


@contextlib.contextmanager
def far_from_parts(parts, proxy, **settings):
    """Both daemons, whose way to each part leads through the proxy."""
    s = parts.settings
    sqs_host, sqs_port = s["SQS_ENDPOINT"].removeprefix("http://").split(":")
    ports = {part: proxy.add(part, host, port)
             for part, host, port in [("postgres", s["DB_HOST"], s["DB_PORT"]), ("sqs", sqs_host, sqs_port),
                                      ("redis", s["REDIS_HOST"], s["REDIS_PORT"])]}
    far = {"DB_PORT": str(ports["postgres"]), "REDIS_PORT": str(ports["redis"]),
           "SQS_ENDPOINT": f"http://127.0.0.1:{ports['sqs']}"}
    with System(parts, **settings) as both:
        for daemon in [both.order_svc(**far), both.delivery_svc(**far)]:
            daemon.start()
        yield both


@pytest.fixture
def system(parts, proxy):
    with far_from_parts(parts, proxy) as both:
        yield both


@pytest.fixture
def hasty(parts, proxy):
    """It has short deadlines: a busy server may miss them, too."""
    with far_from_parts(parts, proxy, **QUICKLY) as both:
        yield both


@contextlib.contextmanager
def black_hole(proxy, link, direction):
    proxy.fault(link, "blackhole", direction)
    try:
        yield
    finally:
        proxy.heal(link)


def has_logged(daemon, *words):
    return any(all(word in line["body"] for word in words) for line in daemon.log_lines())


def dependencies(api):
    return api.get("/health").json()["dependencies"]


def assert_delivered(system, order_id):
    status = "SELECT status FROM orders WHERE id = %s"  # a worker may still believe that the database is away
    eventually(lambda: system.query(status, order_id) == [("DELIVERED",)], what="delivery")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_silence_of_postgresql_is_answered_503_in_time(hasty, proxy, direction):
    system, api, deliveries = hasty, hasty.client(), hasty.deliveries()
    order_id = api.accepted().json()["order_id"]
    assert_delivered(system, order_id)
    with black_hole(proxy, "postgres", direction):
        for _ in range(5):  # with connections of before, and when there are none any more
            for response in (api.create(), api.get("/orders"), deliveries.get(f"/delivery/shipment/{order_id}")):
                assert_problem(response, 503, "UNAVAILABLE")
        eventually(lambda: api.create().status_code == 503 and has_logged(system.order, "connection timeout"))
        for daemon in system.daemons:
            eventually(lambda: daemon.health("/health/ready") == 503)
            assert daemon.is_live()
            eventually(lambda: has_logged(daemon, "no response within the statement timeout"))
    eventually(lambda: api.get(f"/orders/{order_id}").status_code == 200)
    assert_delivered(system, api.accepted().json()["order_id"])


@pytest.mark.parametrize("direction", ["up", "down"])
def test_silence_of_redis_holds_nobody_up(system, proxy, direction):
    api, body, key = system.client(), basket(), str(uuid.uuid4())
    before = api.create(body, key)
    with black_hole(proxy, "redis", direction):
        eventually(lambda: dependencies(api) == {"database": True, "redis": False, "sqs": True})
        assert api.create(body, key).content == before.content
        for _ in range(10):
            assert_delivered(system, api.created())
        eventually(lambda: has_logged(system.order, "cache in Redis is unavailable: "))
    eventually(lambda: dependencies(api)["redis"])


@pytest.mark.parametrize("direction", ["up", "down"])
def test_silence_of_sqs_delays_shipments_only(system, proxy, direction):
    api, deliveries = system.client(), system.deliveries()
    with black_hole(proxy, "sqs", direction):
        eventually(lambda: not dependencies(api)["sqs"] and not dependencies(deliveries)["sqs"])
        order_ids = [api.created() for _ in range(10)]
        for daemon in system.daemons:
            assert daemon.health("/health/ready") == 200
            eventually(lambda: has_logged(daemon, "consumer of", "is unavailable: queue: ", "timed out"))
        eventually(lambda: has_logged(system.order, "relay of order_outbox is unavailable: queue: ", "timed out"))
    for order_id in order_ids:
        assert_delivered(system, order_id)


def test_daemons_stop_in_time_while_no_part_answers(hasty, proxy):
    with contextlib.ExitStack() as holes:
        for link in ("postgres", "redis", "sqs"):
            holes.enter_context(black_hole(proxy, link, "both"))
        for daemon in hasty.daemons:
            eventually(lambda: daemon.health("/health/ready") == 503)
        for daemon in hasty.daemons:
            daemon.terminate()
        for daemon in hasty.daemons:
            daemon.finish()  # asserts that it ended well: in time


def connects(daemon):
    return value(daemon, "orders_db_connects_total")


def gone_back(daemon):
    """How many messages were given back because of the database."""
    return value(daemon, "orders_messages_total", outcome="retried", reason="database_away")


def assert_shipment(system, order_id):
    eventually(lambda: system.query("SELECT 1 FROM shipments WHERE order_id = %s", order_id), what="the shipment")


def with_far_delivery(system, proxy):
    """An order-svc, and a delivery-svc whose way to PostgreSQL leads through the proxy and which has made a shipment."""
    s = system.parts.settings
    system.order_svc().start()
    delivery = system.delivery_svc(DB_PORT=str(proxy.add("postgres", s["DB_HOST"], s["DB_PORT"])), **QUICKLY).start()
    assert_shipment(system, system.client().created())
    return delivery


def test_a_short_outage_of_postgresql_uses_up_no_receive(parts, proxy):
    with System(parts, SQS_VISIBILITY_TIMEOUT="30s", CARRIER_SIMULATION="false") as system:
        delivery = with_far_delivery(system, proxy)
        for direction in ("up", "down"):
            with black_hole(proxy, "postgres", direction):
                order_id, before = system.client().created(), connects(delivery)
                eventually(lambda: has_logged(delivery, "orders.fifo is unavailable: database: "))
                eventually(lambda before=before: connects(delivery) >= before + 3, what="further attempts")
            assert_shipment(system, order_id)
        assert gone_back(delivery) == 0


def test_a_replica_without_postgresql_gives_its_messages_back(parts, proxy):
    with System(parts, SQS_VISIBILITY_TIMEOUT="10s", CARRIER_SIMULATION="false") as system:
        cut_off = with_far_delivery(system, proxy)
        with black_hole(proxy, "postgres", "up"):
            order_id = system.client().created()
            eventually(lambda: has_logged(cut_off, "orders.fifo is unavailable: database: "))
            system.delivery_svc().start()
            assert_shipment(system, order_id)
            assert gone_back(cut_off) > 0
