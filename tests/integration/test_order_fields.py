"""What an order carries besides its items: currency, reference, metadata, and when it was shipped and delivered."""

import hashlib
import json
import re
import uuid

import pytest
import yaml
from harness import ROOT, TIMESTAMP, System, assert_problem, at_once, basket, eventually


@pytest.fixture
def api(by_hand):
    return by_hand.client(f"client-{uuid.uuid4()}")


def key():
    return str(uuid.uuid4())


def yen(price=1500, **changes):
    return basket(currency="JPY", items=[{"product_id": "p", "quantity": 2, "unit_price": price}], **changes)


FULL = {"currency": "EUR", "reference": "PO-2026/1 \u00e4", "metadata": {"b": "line\nline", "a.b-c_D": ""}}


# ---- What is accepted, and shown


def test_old_request_gets_the_old_answer(api):
    answer = api.create(basket(), key())
    assert list(answer.json()) == ["order_id", "status", "total_amount", "created_at"]
    assert b'"total_amount":1059.97' in answer.content
    order = api.order(answer.json()["order_id"])
    assert list(order) == ["id", "customer_id", "status", "total_amount", "items", "created_at", "updated_at", "currency"]
    assert order["currency"] == "USD"


def test_order_shows_what_it_carries(api):
    answer = api.create(basket(**FULL), key())
    assert list(answer.json()) == ["order_id", "status", "total_amount", "created_at", "currency", "reference"]
    order = api.order(answer.json()["order_id"])
    assert {name: order[name] for name in FULL} == FULL
    assert list(order)[-3:] == ["currency", "reference", "metadata"]
    listed, = api.get("/orders").json()["orders"]
    assert listed == order
    event, = api.get(f"/orders/{order['id']}/events").json()["events"]
    assert event["data"] == {"total_amount": 1059.97, "currency": "EUR", "reference": FULL["reference"]}


def test_currency_without_decimals_is_written_without(api):
    answer = api.create(yen(1500.0), key())
    assert b'"total_amount":3000,' in answer.content
    response = api.get(f"/orders/{answer.json()['order_id']}")
    assert b'"total_amount":3000,' in response.content and b'"unit_price":1500}' in response.content
    assert b'"data":{"total_amount":3000,"currency":"JPY"}' in \
        api.get(f"/orders/{answer.json()['order_id']}/events").content


@pytest.mark.parametrize("changes, pointer, word", [
    ({"currency": "usd"}, "/currency", "capital"), ({"currency": 1}, "/currency", "capital"),
    ({"currency": None}, "/currency", "capital"), ({"currency": "BHD"}, "/currency", "3 decimals"),
    ({"currency": "CLF"}, "/currency", "4 decimals"), ({"currency": "XYZ"}, "/currency", "XYZ is not"),
    ({"currency": "XAU"}, "/currency", "XAU is not"), ({"reference": ""}, "/reference", "1 to 64"),
    ({"reference": "x" * 65}, "/reference", "1 to 64"), ({"reference": "a\nb"}, "/reference", "control"),
    ({"reference": None}, "/reference", "string"), ({"metadata": []}, "/metadata", "object"),
    ({"metadata": None}, "/metadata", "object"), ({"metadata": {f"k{n}": "" for n in range(17)}}, "/metadata", "16"),
    ({"metadata": {"": "x"}}, "/metadata/", "key"), ({"metadata": {"a b": "x"}}, "/metadata/a b", "key"),
    ({"metadata": {"k" * 41: "x"}}, "/metadata/" + "k" * 41, "key"), ({"metadata": {"k": 1}}, "/metadata/k", "string"),
    ({"metadata": {"k": {"a": "b"}}}, "/metadata/k", "string"), ({"metadata": {"k": "\u00e4" * 501}}, "/metadata/k", "500")])
def test_what_is_refused_and_why(by_hand, api, changes, pointer, word):
    answer = api.create(basket(**changes), key())
    assert_problem(answer, 400, "VALIDATION_ERROR")
    fault, = answer.json()["errors"]
    assert fault["pointer"] == pointer and word in fault["detail"], fault


def test_every_currency_of_the_document_is_taken(api):
    """And it has all of the code."""
    named = set(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["components"]["schemas"]["Currency"]["enum"])
    table = (ROOT / "src/common/base/currency.c").read_text()
    assert named | {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", "CLF", "UYW"} == set(re.findall(r"\b[A-Z]{3}\b", table))
    for code in named:
        assert api.create(basket(currency=code, items=[{"product_id": "p", "quantity": 1, "unit_price": 7}])).status_code == 201


def test_bounds_are_included(api):
    body = basket(reference="\u00e4" * 64, metadata={("k" * 38) + f"{n:02}": "\u20ac" * 500 for n in range(16)})
    order = api.order(api.created(body))
    assert order["metadata"] == body["metadata"] and order["reference"] == body["reference"]


def test_large_metadata_is_read_once_however_many_items_there_are(by_hand, api):
    """Otherwise a page would need hundreds of megabytes."""
    items = [{"product_id": f"p{n}", "quantity": 1, "unit_price": 1} for n in range(100)]
    body = basket(metadata={f"k{n}": "x" * 500 for n in range(16)}, items=items)
    order = api.order(api.created(body))
    assert (order["metadata"], order["items"]) == (body["metadata"], items)
    assert by_hand.query("SELECT min(position) FROM order_items WHERE order_id = %s", order["id"]) == [(1,)]
    for query in ("", "?updated_since=2020-01-01T00:00:00Z"):
        assert api.get(f"/orders{query}").json()["orders"] == [order]


def test_all_faults_come_in_one_answer(api):
    body = yen(10.5, reference="", metadata={"a b": "", "c": 1}) | {"customer_id": ""}
    answer = api.create(body, key())
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {
        "/customer_id", "/reference", "/metadata/a b", "/metadata/c", "/items/0/unit_price"}
    assert "whole number, as JPY has no decimals" in answer.text


def test_empty_metadata_is_none(api):
    body = basket()
    first = api.create(body, "empty")
    assert api.create(body | {"metadata": {}}, "empty").content == first.content
    assert "metadata" not in api.order(first.json()["order_id"])


def test_default_currency_is_a_setting(parts):
    with System(parts) as system:
        dollars = system.order_svc().start()
        first = system.client().create(basket(), "old")
        dollars.stop()
        euros = system.order_svc(DEFAULT_CURRENCY="JPY").start()
        api = system.client(daemon=euros)
        assert_problem(api.create(basket(), "new"), 400, "VALIDATION_ERROR")
        assert api.order(api.created(basket(items=[{"product_id": "p", "quantity": 1, "unit_price": 7}])))["currency"] == "JPY"
        assert api.order(first.json()["order_id"])["currency"] == "USD"
        bad = system.order_svc(DEFAULT_CURRENCY="KWD").command("--check")
        assert bad.returncode != 0 and "DEFAULT_CURRENCY" in bad.stderr


# ---- Idempotency


@pytest.mark.parametrize("changes", [{"reference": "other"}, {"currency": "GBP"}, {"metadata": {"b": "1"}}, {"metadata": {}}])
def test_all_members_are_part_of_the_payload(by_hand, api, changes):
    body, k = basket(**FULL), key()
    first = api.create(body, k)
    for _ in range(2):
        assert_problem(api.create(body | changes, k), 422, "IDEMPOTENCY_KEY_REUSED")
        turned = body | {"metadata": dict(reversed(body["metadata"].items()))}
        replay = api.create(turned, k)
        assert replay.content == first.content and replay.headers["Idempotent-Replayed"] == "true"
        by_hand.redis.flushdb()


def test_equal_basket_with_another_reference_is_another_order(api):
    body = basket()
    ids = {api.created(body | {"reference": name}) for name in "abc"}
    assert len(ids) == 3
    assert api.created(body | {"reference": "a"}) in ids


def test_key_that_the_release_before_has_stored_is_replayed(by_hand, api):
    """Its fingerprint was made as here, and its orders have no currency."""
    body, k = basket("customer-of-before"), key()
    text = "customer-of-before\nlaptop-001\n1\n99999\nmouse-001\n2\n2999"
    first = api.create(body, k)
    assert by_hand.query("SELECT fingerprint FROM idempotency_keys WHERE key = %s", "k:" + k) == [
        (hashlib.sha256(text.encode()).digest(),)]
    by_hand.query("UPDATE orders SET currency = NULL WHERE id = %s", first.json()["order_id"])
    by_hand.redis.flushdb()
    assert api.create(body, k).content == first.content
    assert "currency" not in api.order(first.json()["order_id"])


# ---- References


def test_reference_is_unique_for_its_client(by_hand, api):
    body, k = basket(reference="R-1"), key()
    first = api.create(body, k)
    assert first.status_code == 201
    for again in (key(), None):
        assert_problem(api.create(basket(reference="R-1"), again), 409, "REFERENCE_TAKEN")
    assert api.create(body, k).content == first.content
    by_hand.redis.flushdb()
    assert api.create(body, k).content == first.content
    assert by_hand.client("somebody-else").create(basket(reference="R-1"), key()).status_code == 201
    assert api.create(basket(), key()).status_code == api.create(basket(reference="r-1"), key()).status_code == 201


def test_refused_reference_does_not_use_up_its_key(by_hand, api):
    api.created(basket(reference="R"), key())
    k = key()
    assert_problem(api.create(basket(reference="R"), k), 409, "REFERENCE_TAKEN")
    assert by_hand.query("SELECT FROM idempotency_keys WHERE key = %s", "k:" + k) == []
    assert api.create(basket(reference="S"), k).status_code == 201


def test_without_fingerprints_a_reference_is_unique(by_hand):
    replica = by_hand.order_svc(IDEMPOTENCY_FINGERPRINT_TTL="0").start()
    api, body = by_hand.client(daemon=replica), basket(reference=key())
    assert api.create(body).status_code == 201
    assert_problem(api.create(body), 409, "REFERENCE_TAKEN")
    assert api.create(basket()).status_code == 201
    replica.stop()


@pytest.mark.parametrize("replicas", [1, 2])
def test_reference_at_once_makes_one_order_and_fails_no_neighbour(parts, replicas):
    """Many requests in few batches: for each of ten references twenty rivals with keys of their own, and neighbours."""
    patient = {"REDIS_TIMEOUT": "10s", "HTTP_QUEUE_TIMEOUT": "60s", "DB_LOCK_TIMEOUT": "30s", "DB_STATEMENT_TIMEOUT": "60s"}
    with System(parts, CARRIER_SIMULATION="false", DB_POOL_SIZE="4", **patient) as system:
        for _ in range(replicas):
            system.order_svc().start()
        clients = [system.client(daemon=daemon) for daemon in system.daemons]
        bodies = [basket(reference=f"R-{n % 10}") for n in range(200)] + [basket() for _ in range(100)]
        answers = at_once([lambda body=body, api=clients[i % replicas]: api.create(body, key())
                           for i, body in enumerate(bodies)])
        assert [answer.status_code for answer in answers[200:]] == [201] * 100
        rivals = answers[:200]
        assert sum(answer.status_code == 201 for answer in rivals) == 10
        for answer in rivals:
            if answer.status_code != 201:
                assert_problem(answer, 409, "REFERENCE_TAKEN")
        assert system.query("SELECT count(*), count(DISTINCT reference) FROM orders") == [(110, 10)]
        assert system.query("SELECT count(*) FROM idempotency_keys") == [(110,)]
        assert system.query("SELECT count(*) FROM order_events") == system.query("SELECT count(*) FROM orders")
        assert system.query("SELECT count(*) FROM order_items") == [(220,)]
        assert not [line for daemon in system.daemons for line in daemon.complaints("development only")]


# ---- When it was shipped and delivered


def test_times_are_those_that_delivery_tells_and_stay(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created(basket(reference=key()), key())
    assert not {"shipped_at", "delivered_at"} & set(api.order(order_id))
    shipment = eventually(lambda: deliveries.shipment(order_id))
    shipped_at = deliveries.move(shipment["id"], "SHIPPED").json()["updated_at"]
    order = eventually(lambda: (order := api.order(order_id))["status"] == "SHIPPED" and order)
    assert order["shipped_at"] == shipped_at and "delivered_at" not in order
    deliveries.move(shipment["id"], "SHIPPED", tracking_number="T-2")
    eventually(lambda: api.order(order_id).get("tracking_number") == "T-2")
    assert api.order(order_id)["shipped_at"] == shipped_at
    delivered_at = deliveries.move(shipment["id"], "DELIVERED").json()["delivered_at"]
    order = eventually(lambda: (order := api.order(order_id))["status"] == "DELIVERED" and order)
    assert (order["shipped_at"], order["delivered_at"]) == (shipped_at, delivered_at)
    assert all(TIMESTAMP.fullmatch(order[name]) for name in ("shipped_at", "delivered_at"))
    event = {"eventType": "ORDER_STATUS_UPDATE", "eventId": key(), "orderId": order_id, "previousStatus": "SHIPPED",
             "currentStatus": "DELIVERED", "timestamp": "2031-01-01T00:00:00.000Z", "trackingNumber": "T-3"}
    by_hand.send("DELIVERY_STATUS_QUEUE", event, group=order_id)
    eventually(lambda: by_hand.query("SELECT tracking_number FROM orders WHERE id = %s", order_id) == [("T-3",)])
    (stored,), = by_hand.query("SELECT to_char(delivered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
                               " FROM orders WHERE id = %s", order_id)
    assert stored == delivered_at


def test_views_of_another_release_are_not_taken(by_hand):
    """Neither does the release before take ours: its keys lack the format."""
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created(basket(reference=key()), key())
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for status in ("SHIPPED", "DELIVERED"):
        deliveries.move(shipment["id"], status)
    name = eventually(lambda: list(by_hand.redis.scan_iter(f"order:view:{order_id}:*")))[0].decode()
    assert name.endswith(":3")
    old = name.removesuffix(":3")
    by_hand.redis.delete(name)
    by_hand.redis.set(old, f"3\ndemo-client\n{json.dumps({'id': 'of the release before'})}")
    replica = by_hand.order_svc().start()
    assert by_hand.client(daemon=replica).order(order_id)["id"] == order_id
    replica.stop()


# ---- Lists


@pytest.fixture(scope="module")
def filled(parts):
    with System(parts, CARRIER_SIMULATION="false") as system:
        yield system.start()


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json()["orders"]]


def pages(api, query):
    """The ids of all pages of two."""
    found, cursor = [], ""
    while True:
        answer = api.get(f"/orders?limit=2&{query}{cursor}")
        found += ids(answer)
        if (next_cursor := answer.json()["next_cursor"]) is None:
            return found
        cursor = f"&cursor={next_cursor}"


def test_order_is_found_by_its_reference(filled):
    a, b = filled.client("ref-a"), filled.client("ref-b")
    admin = filled.client("boss", "order:read order:read:all")
    mine, theirs = a.created(basket("x", reference="R 1/\u00e4")), b.created(basket("y", reference="R 1/\u00e4"))
    query = "/orders?reference=R%201/%C3%A4"
    assert ids(a.get(query)) == [mine] and ids(b.get(query)) == [theirs] and ids(admin.get(query)) == [theirs, mine]
    assert ids(a.get(query + "&customer_id=y")) == ids(a.get(query + "&status=SHIPPED")) == ids(a.get("/orders?reference=R")) == []
    assert ids(admin.get(query + "&updated_since=2020-01-01T00:00:00Z")) == [mine, theirs]
    assert pages(admin, "reference=R%201/%C3%A4") == [theirs, mine]


def test_lists_by_time_of_creation(filled):
    api = filled.client("times")
    orders = []
    for n in range(5):
        orders.append(api.order(api.created(basket("even" if n % 2 == 0 else "odd"), key())))
        eventually(lambda: filled.query("SELECT now() > created_at + interval '3 ms' FROM orders WHERE id = %s",
                                        orders[-1]["id"]) == [(True,)])
    every = [order["id"] for order in reversed(orders)]
    at = [order["created_at"] for order in orders]
    for api in (api, filled.client("boss", "order:read order:read:all")):
        assert [i for i in pages(api, f"created_after={at[1]}") if i in every] == every[:3]
        assert [i for i in pages(api, f"created_before={at[1]}") if i in every] == every[4:]
        assert pages(api, f"created_after={at[0]}&created_before={at[4]}") == every[1:4]
        assert pages(api, f"created_after={at[0]}&created_before={at[4]}&status=PENDING_SHIPMENT") == every[1:4]
        assert pages(api, f"created_after={at[0]}&created_before={at[4]}&status=DELIVERED") == []
        assert pages(api, f"created_after={at[0]}&created_before={at[4]}&customer_id=even") == every[2:3]
        assert pages(api, f"created_after={at[0]}&created_before={at[4]}&customer_id=odd&status=PENDING_SHIPMENT") == \
            [every[1], every[3]]
        assert pages(api, f"created_after={at[4]}&created_before={at[0]}") == []
    offset = at[1].replace("Z", "000%2B00:00")
    assert pages(filled.client("times"), f"created_after={offset}") == every[:3]


def test_lists_by_last_change(filled):
    api, deliveries = filled.client("changes"), filled.deliveries()
    orders = [api.created(basket()) for _ in range(6)]
    since = api.order(orders[0])["updated_at"]
    boss = filled.client("boss", "order:read order:read:all")
    for reader in (api, boss):
        assert pages(reader, f"updated_since={since}") == orders
    for n in (4, 1):
        shipment = eventually(lambda n=n: deliveries.shipment(orders[n]))
        deliveries.move(shipment["id"], "SHIPPED")
        eventually(lambda n=n: api.order(orders[n])["status"] == "SHIPPED")
    expected = [orders[n] for n in (0, 2, 3, 5, 4, 1)]
    for reader in (api, boss):
        assert pages(reader, f"updated_since={since}") == expected
        assert pages(reader, f"updated_since={since}&status=SHIPPED") == [orders[4], orders[1]]
        assert pages(reader, f"updated_since={api.order(orders[4])['updated_at']}") == [orders[4], orders[1]]
    assert pages(filled.client("nobody"), f"updated_since={since}") == []
    # An order that changes while somebody reads is seen again, and none is missed.
    first = api.get(f"/orders?limit=3&updated_since={since}").json()
    deliveries.move(deliveries.shipment(orders[4])["id"], "DELIVERED")
    eventually(lambda: api.order(orders[4])["status"] == "DELIVERED")
    rest = ids(api.get(f"/orders?limit=100&updated_since={since}&cursor={first['next_cursor']}"))
    assert rest == [orders[5], orders[1], orders[4]]


@pytest.mark.parametrize("query", [
    "reference=", "reference=" + "x" * 65, "reference=%FF", "created_after=", "created_after=yesterday",
    "created_before=2026-01-01", "updated_since=2026-02-30T00:00:00Z",
    "updated_since=2026-01-01T00:00:00+01:00", "created_after=2026-01-01T00:00:00Z&created_after=2026-01-01T00:00:00Z",
    "updated_since=2026-01-01T00:00:00Z&cursor=019b0000-0000-7000-8000-000000000000",
    "cursor=019b00000000-019b0000-0000-7000-8000-000000000000",
    "updated_since=2026-01-01T00:00:00Z&cursor=ffffffffffff-019b0000-0000-7000-8000-000000000000"])
def test_bad_filters_are_refused(filled, query):
    assert_problem(filled.client().get(f"/orders?{query}"), 400, "VALIDATION_ERROR")
