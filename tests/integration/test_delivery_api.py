"""delivery-svc's routes: shipments, their moves, their audit trail, and who may use them."""

import itertools
import json
import uuid

import pytest
from harness import TIMESTAMP, UUID, Api, System, assert_problem, eventually, order_created, pointers


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, CARRIER_SIMULATION="false") as one:
        one.delivery_svc().start()
        yield one


@pytest.fixture(scope="module")
def api(system):
    return system.deliveries()


@pytest.fixture
def shipment(system, api):
    """A new one, PROCESSING."""
    return new_shipment(system, api)


def new_shipment(system, api):
    order_id = str(uuid.uuid4())
    system.send("ORDERS_QUEUE", order_created(order_id), order_id)
    return eventually(lambda: api.shipment(order_id), what="a shipment")


def trail(api, shipment):
    response = api.get(f"/delivery/shipment/{shipment['order_id']}/events")
    assert response.status_code == 200, response.text
    return response.json()["events"]


def test_shipment_of_an_order_is_shown(api, shipment):
    assert shipment.keys() == {"id", "order_id", "tracking_number", "carrier", "status", "created_at", "updated_at",
                               "delivered_at"}
    assert UUID.fullmatch(shipment["id"])
    assert shipment["status"] == "PROCESSING"
    assert TIMESTAMP.fullmatch(shipment["created_at"]) and shipment["updated_at"] == shipment["created_at"]
    assert (shipment["tracking_number"], shipment["carrier"], shipment["delivered_at"]) == (None, None, None)
    assert api.shipment(shipment["order_id"].upper()) == shipment


@pytest.mark.parametrize("order_id", [str(uuid.uuid4()), "not-a-uuid", "x" * 3000])
@pytest.mark.parametrize("path", ["/delivery/shipment/{}", "/delivery/shipment/{}/events"])
def test_unknown_order_is_404(api, path, order_id):
    assert_problem(api.get(path.format(order_id)), 404, "SHIPMENT_NOT_FOUND")


@pytest.mark.parametrize("shipment_id", [str(uuid.uuid4()), "not-a-uuid"])
def test_unknown_shipment_is_404(api, shipment_id):
    assert_problem(api.move(shipment_id, "SHIPPED"), 404, "SHIPMENT_NOT_FOUND")


def test_shipment_moves_forward_step_by_step(api, shipment):
    shipped = api.move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
    assert shipped.status_code == 200
    assert shipped.json() == shipment | {"status": "SHIPPED", "tracking_number": "T-1", "carrier": "C",
                                         "updated_at": shipped.json()["updated_at"]}
    delivered = api.move(shipment["id"], "DELIVERED").json()
    assert (delivered["status"], delivered["tracking_number"], delivered["carrier"]) == ("DELIVERED", "T-1", "C")
    assert TIMESTAMP.fullmatch(delivered["delivered_at"])
    assert api.shipment(shipment["order_id"]) == delivered


STATUSES = ("PROCESSING", "SHIPPED", "DELIVERED")


@pytest.mark.parametrize("at, to", [(a, b) for a, b in itertools.product(STATUSES, STATUSES)
                                    if STATUSES.index(b) - STATUSES.index(a) not in (0, 1)])
def test_other_moves_are_409_and_tell_what_is_allowed(api, shipment, at, to):
    for status in STATUSES[1:STATUSES.index(at) + 1]:
        assert api.move(shipment["id"], status).status_code == 200
    before = api.shipment(shipment["order_id"]), trail(api, shipment)
    problem = assert_problem(api.move(shipment["id"], to, carrier="new"), 409, "INVALID_TRANSITION")
    allowed = STATUSES[STATUSES.index(at):][1:2]
    assert all(status in problem["detail"] for status in (at, to, *allowed))
    assert (api.shipment(shipment["order_id"]), trail(api, shipment)) == before


@pytest.mark.parametrize("at", STATUSES)
def test_same_status_again_changes_nothing(system, api, shipment, at):
    for status in STATUSES[1:STATUSES.index(at) + 1]:
        api.move(shipment["id"], status, tracking_number="T-1", carrier="C")
    before = api.shipment(shipment["order_id"]), trail(api, shipment)
    again = api.move(shipment["id"], at)
    assert (again.status_code, again.json()) == (200, before[0])
    assert (api.shipment(shipment["order_id"]), trail(api, shipment)) == before


def test_same_status_may_add_what_was_not_known(api, shipment):
    assert api.move(shipment["id"], "PROCESSING", carrier="C").json()["carrier"] == "C"
    known = api.move(shipment["id"], "PROCESSING", tracking_number="T-1").json()
    assert (known["status"], known["carrier"], known["tracking_number"]) == ("PROCESSING", "C", "T-1")


@pytest.mark.parametrize("fields", [{}, {"tracking_number": None, "carrier": None}])
def test_tracking_is_never_erased(api, shipment, fields):
    api.move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
    for status in ("SHIPPED", "DELIVERED"):
        moved = api.move(shipment["id"], status, **fields).json()
        assert (moved["tracking_number"], moved["carrier"]) == ("T-1", "C")


def test_every_change_is_in_the_audit_trail_oldest_first(api, shipment):
    api.request("POST", f"/delivery/shipment/{shipment['id']}/status", data='{"status":"SHIPPED","carrier":"C"}',
                headers={"Content-Type": "application/json", "X-Request-Id": "audit-me"})
    api.move(shipment["id"], "DELIVERED")
    events = trail(api, shipment)
    assert [event["status"] for event in events] == ["PROCESSING", "SHIPPED", "DELIVERED"]
    assert "audit-me" in json.dumps(events[1])
    assert "audit-me" not in json.dumps([events[0], events[2]])
    times = [event["occurred_at"] for event in events]
    assert all(map(TIMESTAMP.fullmatch, times)) and times == sorted(times)


def test_events_are_published_for_shipped_and_delivered_only(system, api, shipment):
    api.move(shipment["id"], "PROCESSING", carrier="C")
    for status in ("SHIPPED", "SHIPPED", "DELIVERED", "DELIVERED", "PROCESSING"):
        api.move(shipment["id"], status)
    unsent = "SELECT count(*) FROM delivery_outbox"
    messages = system.take("DELIVERY_STATUS_QUEUE", lambda got: system.query(unsent) == [(0,)]
                           and system.messages_in("DELIVERY_STATUS_QUEUE") == 0)
    bodies = [json.loads(message["Body"]) for message in messages]
    mine = [body["currentStatus"] for body in bodies if body["orderId"] == shipment["order_id"]]
    assert mine == ["SHIPPED", "DELIVERED"]


@pytest.mark.parametrize("body, pointer", [
    ({}, "/status"), ({"status": "LOST"}, "/status"), ({"status": "shipped"}, "/status"), ({"status": None}, "/status"),
    ({"status": 1}, "/status"), ({"status": "SHIPPED", "colour": 1}, "/colour"),
    ({"status": "SHIPPED", "carrier": ""}, "/carrier"), ({"status": "SHIPPED", "carrier": 7}, "/carrier"),
    ({"status": "SHIPPED", "carrier": "x" * 256}, "/carrier"),
    ({"status": "SHIPPED", "tracking_number": "a\nb"}, "/tracking_number"),
    ({"status": "SHIPPED", "tracking_number": ""}, "/tracking_number"),
])
def test_bad_status_body_is_400_and_changes_nothing(api, shipment, body, pointer):
    response = api.post(f"/delivery/shipment/{shipment['id']}/status", body)
    assert pointers(response) == {pointer}
    assert api.shipment(shipment["order_id"]) == shipment


def test_all_faults_of_a_status_body_come_in_one_answer(api, shipment):
    body = {"status": "LOST", "carrier": "", "tracking_number": 1, "colour": "red"}
    response = api.post(f"/delivery/shipment/{shipment['id']}/status", body)
    assert pointers(response) == {"/status", "/carrier", "/tracking_number", "/colour"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"status":"SHIPPED","status":"DELIVERED"}', b'{"status":"\xff"}'])
def test_malformed_status_body_is_400(api, shipment, body):
    assert_problem(api.post(f"/delivery/shipment/{shipment['id']}/status", body), 400, "VALIDATION_ERROR")


def test_status_body_has_a_limit_and_a_type(api, shipment):
    path = f"/delivery/shipment/{shipment['id']}/status"
    assert_problem(api.post(path, b" " * 70000), 413, "PAYLOAD_TOO_LARGE")
    assert_problem(api.post(path, b"status=SHIPPED", headers={"Content-Type": "text/plain"}), 415,
                   "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/delivery/shipment/x", {"GET", "HEAD"}), ("POST", "/delivery/shipment/x/events", {"GET", "HEAD"}),
    ("GET", "/delivery/shipment/x/status", {"POST"}), ("POST", "/health", {"GET", "HEAD"})])
def test_wrong_method_is_405_with_those_allowed(api, method, path, allow):
    response = api.request(method, path)
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert set(response.headers["Allow"].replace(" ", "").split(",")) == allow


def test_unknown_path_is_404(api):
    assert_problem(api.get("/delivery"), 404, "NOT_FOUND")


def test_head_works_where_get_does(api, shipment):
    for path in (f"/delivery/shipment/{shipment['order_id']}", f"/delivery/shipment/{shipment['order_id']}/events",
                 "/health", "/health/live", "/health/ready"):
        get, head = api.get(path), api.request("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b"")


def test_health_tells_of_every_part(api):
    health = eventually(lambda: (seen := api.get("/health").json())["status"] == "healthy" and seen)
    assert health["service"] == "delivery-service"
    assert health["dependencies"] == {"database": True, "sqs": True}
    assert {"timestamp", "version", "uptime"} <= health.keys()


# Orders that come twice, or are none

def test_order_that_comes_twice_gets_one_shipment(system, api, shipment):
    system.send("ORDERS_QUEUE", order_created(shipment["order_id"]), shipment["order_id"])
    eventually(lambda: system.messages_in("ORDERS_QUEUE") == 0)
    assert api.shipment(shipment["order_id"]) == shipment
    assert len(trail(api, shipment)) == 1


# Who may do what

def test_development_is_open_but_verifies_a_token_that_is_sent(system, api, shipment):
    path = f"/delivery/shipment/{shipment['order_id']}"
    assert api.get(path).status_code == 200
    assert_problem(Api(api.url, "a.b.c").get(path), 401, "INVALID_TOKEN")
    assert_problem(Api(api.url, system.mint(iat=1, exp=2)).get(path), 401, "TOKEN_EXPIRED")
    assert_problem(Api(api.url, system.mint(scope="order:read")).get(path), 403, "FORBIDDEN")


def test_production_is_closed(system, api, shipment):
    secret = "a-secret-of-production-that-is-long-enough"
    replica = system.delivery_svc(APP_ENV="production", DELIVERY_ANONYMOUS="false", DEMO_CLIENTS="false",
                                  JWT_SECRET=secret).start()

    def client(scope, client_id="courier", key=secret):
        return Api(replica.url, system.mint(client_id, scope, key))

    read, write = f"/delivery/shipment/{shipment['order_id']}", f"/delivery/shipment/{shipment['id']}/status"
    for path in (read, f"{read}/events"):
        response = Api(replica.url).get(path)
        assert_problem(response, 401, "UNAUTHORIZED")
        assert response.headers["WWW-Authenticate"].startswith("Bearer realm=")
        assert_problem(client("delivery:write").get(path), 403, "FORBIDDEN")
        assert_problem(Api(replica.url, system.mint(scope="delivery:read")).get(path), 401, "INVALID_TOKEN")
        assert client("delivery:read delivery:read:all").get(path).status_code == 200
    assert_problem(Api(replica.url).post(write, {"status": "SHIPPED"}), 401, "UNAUTHORIZED")
    refused = client("delivery:read").post(write, {"status": "SHIPPED"})
    assert_problem(refused, 403, "FORBIDDEN")
    assert 'scope="delivery:write"' in refused.headers["WWW-Authenticate"]
    assert client("delivery:write").post(write, {"status": "SHIPPED"}).status_code == 200
    assert "courier" in json.dumps(trail(api, shipment)[-1])
    replica.stop()
