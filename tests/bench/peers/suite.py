"""What order-svc and its peers must do alike, seen from outside: answers, replays, conflicts, races, and the rows they write."""

import collections
import hashlib
import json
import re
import uuid

import requests
from lab import check, harness

LONG = "x" * 255
SYSTEM_ITEM = {"product_id": "p", "quantity": 1, "unit_price": 1}


class Client:
    """Requests to one contender, on a connection of their own each."""

    def __init__(self, contender, token=None):
        self.url, self.token = contender.order.url, contender.mint() if token is None else token

    def send(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.request(method, self.url + path, data=body, headers=headers, timeout=harness.PATIENCE)

    def order(self, body=None, key=None, **headers):
        return self.send("POST", "/orders", harness.basket() if body is None else body,
                         **({"Idempotency_Key": key} if key else {}), **headers)


def expect(response, status, error=None):
    """The answer has this status, and a problem this code."""
    check(response.status_code == status, f"answered {response.status_code} instead of {status}: {response.text[:300]}")
    if error:
        kind = response.headers.get("Content-Type")
        check(kind == "application/problem+json", f"Content-Type {kind}")
        problem = response.json()
        check((problem["error"], problem["status"]) == (error, status), f"not {error}: {problem}")
        check({"type", "title", "detail", "message"} <= problem.keys(), f"members are missing: {problem}")
    return response


def rows_of(contender, customer):
    return contender.query("SELECT count(*) FROM orders WHERE customer_id = %s", customer)[0][0]


def test_a_new_order(contender):
    answer = expect(Client(contender).order(key=str(uuid.uuid4())), 201)
    order = answer.json()
    check(list(order) == ["order_id", "status", "total_amount", "created_at"], f"members: {list(order)}")
    check(harness.UUID.fullmatch(order["order_id"]) and harness.TIMESTAMP.fullmatch(order["created_at"]), f"{order}")
    check((order["status"], order["total_amount"]) == ("PENDING_SHIPMENT", 1059.97), f"{order}")
    check(answer.headers["Content-Type"] == "application/json", "the Content-Type is another")
    check(answer.headers["Location"] == f"/orders/{order['order_id']}", "the Location is another")
    check("Idempotent-Replayed" not in answer.headers, "a new order is no replay")


def test_replays_and_conflicts(contender):
    client, key, body = Client(contender), str(uuid.uuid4()), harness.basket()
    first = expect(client.order(body, key), 201)
    moved = body | {"items": list(reversed(body["items"]))}  # the sequence does not matter
    for again in (client.order(body, key), client.order(body, f'"{key}"'), client.order(moved, key)):
        expect(again, 201)
        check(again.content == first.content, f"a replay is {again.text}, not {first.text}")
        check(again.headers.get("Idempotent-Replayed") == "true", "a replay does not say so")
        check(again.headers["Location"] == first.headers["Location"], "a replay has another Location")
    contender.redis.flushdb()
    check(client.order(body, key).content == first.content, "a replay is another without Redis")
    for other in (body | {"customer_id": "other"}, body | {"items": body["items"][:1]}):
        expect(client.order(other, key), 422, "IDEMPOTENCY_KEY_REUSED")
    stranger = Client(contender, contender.mint("another-client"))
    theirs = expect(stranger.order(body, key), 201)
    check(theirs.json()["order_id"] != first.json()["order_id"], "clients share a key")
    check(rows_of(contender, body["customer_id"]) == 2, "there are not two orders")
    expect(client.order(body, str(uuid.uuid4())), 201)
    check(rows_of(contender, body["customer_id"]) == 3, "another key is not another order")


def test_without_a_key_the_content_is_the_key(contender):
    client, body = Client(contender), harness.basket()
    first, again = expect(client.order(body), 201), expect(client.order(body), 201)
    check(first.content == again.content and again.headers.get("Idempotent-Replayed") == "true", "no replay")
    check(rows_of(contender, body["customer_id"]) == 1, "there is not one order")


def test_an_expired_key_is_free(contender):
    client, body, key = Client(contender), harness.basket(), str(uuid.uuid4())
    first = expect(client.order(body, key), 201).json()
    contender.query("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = %s", f"k:{key}")
    contender.redis.flushdb()
    second = expect(client.order(body, key), 201).json()
    check(first["order_id"] != second["order_id"], "an expired key was replayed")


def test_sixteen_at_once_make_one_order(contender):
    client = Client(contender)
    for key in (None, str(uuid.uuid4()), str(uuid.uuid4())):
        body = harness.basket()
        answers = harness.at_once([lambda b=body, k=key: client.order(b, k)] * 16)
        for answer in answers:
            expect(answer, 201)
        check(len({answer.content for answer in answers}) == 1, "there are different answers")
        replays = sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers)
        check(replays == 15, f"{replays} replays of 15")
        check(rows_of(contender, body["customer_id"]) == 1, "there is not one order")


def test_a_key_in_flight_is_a_conflict(contender):
    key, body = str(uuid.uuid4()), harness.basket()
    with contender.parts.connect(contender.name) as other, other.transaction(force_rollback=True):
        other.execute("INSERT INTO idempotency_keys VALUES ('demo-client', %s, '', gen_random_uuid(), now() + interval '1 day')",
                      (f"k:{key}",))
        busy = expect(Client(contender).order(body, key), 409, "IDEMPOTENCY_CONFLICT")
        check(busy.headers.get("Retry-After") == "1", "a conflict does not say when to come again")
    expect(Client(contender).order(body, key), 201)


def bad_bodies():
    """What is answered 400."""
    good, item = harness.basket(), harness.basket()["items"][0]
    yield from (b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff", json.dumps(good).encode() + b"x")
    for name in good:
        yield {key: value for key, value in good.items() if key != name}
    yield from (good | {"unknown": 1}, good | {"customer_id": 5}, good | {"customer_id": ""}, good | {"customer_id": LONG + "x"},
                good | {"customer_id": "a\nb"}, good | {"customer_id": "a\x7fb"}, good | {"customer_id": "a\u0085b"},
                good | {"items": []}, good | {"items": {}}, good | {"items": [SYSTEM_ITEM] * 101}, good | {"items": [5]})
    for name in item:
        yield good | {"items": [{key: value for key, value in item.items() if key != name}]}
    for changes in ({"unknown": 1}, {"product_id": ""}, {"product_id": 5}, {"product_id": LONG + "x"}, {"quantity": 0},
                    {"quantity": -1}, {"quantity": 1.5}, {"quantity": 1000001}, {"quantity": "1"}, {"unit_price": 0},
                    {"unit_price": -1}, {"unit_price": 0.001}, {"unit_price": 10.999}, {"unit_price": 100000000},
                    {"unit_price": "1"}, {"unit_price": None}, {"unit_price": 99999999.99, "quantity": 1000}):
        yield good | {"items": [item | changes]}


def test_bad_bodies(contender):
    client, before = Client(contender), contender.counts()
    for body in bad_bodies():
        try:
            expect(client.order(body), 400, "VALIDATION_ERROR")
        except Exception as error:
            raise AssertionError(f"of {str(body)[:200]}") from error
    check(contender.counts() == before, "bad input left rows")


def test_good_bodies(contender):
    client = Client(contender)
    for item, total in (({"quantity": 2.0}, 2), ({"unit_price": 0.01}, 0.01), ({"unit_price": 29.990}, 29.99),
                        ({"quantity": 1000000, "unit_price": 9999.99}, 9999990000), ({"product_id": LONG}, 1),
                        ({"unit_price": 99999999.99}, 99999999.99), ({"product_id": 'ö€😀 "\\/'}, 1)):
        answer = expect(client.order(harness.basket(items=[SYSTEM_ITEM | item])), 201)
        check(answer.json()["total_amount"] == total, f"{answer.json()} instead of {total}")
    many = harness.basket(LONG[:200] + str(uuid.uuid4()), items=[SYSTEM_ITEM] * 100)
    check(expect(client.order(many), 201).json()["total_amount"] == 100, "another sum")


def test_bad_requests(contender):
    client = Client(contender)
    for key in ("", "x" * 256, "a b", 'a"b', '"', '"a\\b"'):
        expect(client.order(Idempotency_Key=key), 400, "VALIDATION_ERROR")
    for key in ("x" * 255, "~!@#$%^&*()_+{}|:<>?", '"quoted"'):
        expect(client.order(key=key), 201)
    for kind in ("text/plain", "application/xml", "application/jsonx"):
        expect(client.order(Content_Type=kind), 415, "UNSUPPORTED_MEDIA_TYPE")
    expect(client.order(Content_Type="application/json; charset=utf-8"), 201)
    expect(client.order(harness.basket("c" * 65_537)), 413, "PAYLOAD_TOO_LARGE")


def test_tokens(contender):
    mint = contender.mint
    for token, status, error in (
            ("", 401, "UNAUTHORIZED"), ("garbage", 401, "INVALID_TOKEN"), (mint(secret="another-secret-of-32-characters!"), 401, "INVALID_TOKEN"),
            (mint(exp=1_700_000_000), 401, "TOKEN_EXPIRED"), (mint(iss="another"), 401, "INVALID_TOKEN"),
            (mint(aud="another"), 401, "INVALID_TOKEN"), (mint(exp=None), 401, "INVALID_TOKEN"),
            (mint(client_id="a", sub="b"), 401, "INVALID_TOKEN"), (mint(nbf=4_000_000_000), 401, "INVALID_TOKEN"),
            (mint() + "x", 401, "INVALID_TOKEN"), (mint(scope="other"), 403, "FORBIDDEN"),
            (mint(scope="order:creates xorder:reads"), 403, "FORBIDDEN")):
        for method, path, body in (("POST", "/orders", harness.basket()), ("GET", f"/orders/{uuid.uuid4()}", None)):
            refused = expect(Client(contender, token).send(method, path, body), status, error)
            check(refused.headers.get("WWW-Authenticate", "").startswith("Bearer"), "no WWW-Authenticate")
    expect(Client(contender, mint(scope="order:read")).order(), 403, "FORBIDDEN")
    expect(Client(contender, "").send("POST", "/orders", harness.basket(), Authorization="Basic eDp5"), 401, "UNAUTHORIZED")


def test_reading(contender):
    client, body = Client(contender), harness.basket('customer "ö\\')
    made = expect(client.order(body, str(uuid.uuid4())), 201).json()
    path = f"/orders/{made['order_id']}"
    expected = {"id": made["order_id"], "customer_id": body["customer_id"], "status": "PENDING_SHIPMENT",
                "total_amount": 1059.97, "items": body["items"], "created_at": made["created_at"],
                "updated_at": made["created_at"], "currency": "USD"}
    first = expect(client.send("GET", path), 200)
    check(list(first.json().items()) == list(expected.items()), f"{first.json()} instead of {expected}")
    check((first.headers["ETag"], first.headers["Cache-Control"]) == ('"v1"', "private, no-cache"), f"{first.headers}")
    contender.query("UPDATE orders SET status = 'DELIVERED', version = 3, carrier = 'C', tracking_number = 'T' WHERE id = %s",
                    made["order_id"])
    stranger = Client(contender, contender.mint("another-client"))
    for _ in range(3):  # from PostgreSQL, and from what was kept
        again = expect(client.send("GET", path), 200)
        check((again.json()["status"], again.json()["carrier"], again.headers["ETag"]) == ("DELIVERED", "C", '"v3"'), again.text)
        expect(stranger.send("GET", path), 404, "ORDER_NOT_FOUND")
    for unknown in (uuid.uuid4(), "x", made["order_id"] + "x"):
        expect(client.send("GET", f"/orders/{unknown}"), 404, "ORDER_NOT_FOUND")
    expect(client.send("GET", "/health/ready"), 200)


def row(contender, sql, *arguments):
    """The only row, as a dictionary."""
    with contender.parts.connect(contender.name) as connection:
        cursor = connection.execute(sql, arguments)
        rows = [dict(zip([column.name for column in cursor.description], values, strict=True)) for values in cursor.fetchall()]
    check(len(rows) == 1, f"{len(rows)} rows: {sql}")
    return rows[0]


def differs(found, expected):
    """The columns that are not as expected: a value, or a pattern that the text matches."""
    return {name: found[name] for name, want in expected.items()
            if not (want.fullmatch(str(found[name])) if isinstance(want, re.Pattern) else found[name] == want)}


def test_rows(contender):
    """One order leaves the same rows in the same tables, whoever takes it."""
    body, key, before = harness.basket(), str(uuid.uuid4()), contender.counts()
    made = expect(Client(contender).order(body, key), 201).json()
    grown = [after - start for after, start in zip(contender.counts(), before, strict=True)]
    check(grown == [1, 2, 1, 1, 1], f"rows in orders, items, keys, outbox, events: {grown}")
    order_id, customer = uuid.UUID(made["order_id"]), body["customer_id"]
    anything = re.compile(".+")
    stored = row(contender, "SELECT *, total_amount::text AS total, created_at = updated_at AS same FROM orders WHERE id = %s", order_id)
    faults = differs(stored, {"client_id": "demo-client", "customer_id": customer, "status": "PENDING_SHIPMENT", "total": "1059.97",
                              "version": 1, "currency": "USD", "same": True, "reference": None, "metadata": None,
                              "tracking_number": None, "carrier": None, "cancellation": None, "quiet_since": anything})
    items = contender.query("SELECT position, product_id, quantity, unit_price::text FROM order_items WHERE order_id = %s ORDER BY 1", order_id)
    check(items == [(1, "laptop-001", 1, "999.99"), (2, "mouse-001", 2, "29.99")], f"{items}")
    text = f"{customer}\nlaptop-001\n1\n99999\nmouse-001\n2\n2999"
    kept = row(contender, "SELECT *, expires_at - %s::timestamptz = interval '24 hours' AS day FROM idempotency_keys WHERE order_id = %s",
               stored["created_at"], order_id)
    faults |= differs(kept, {"client_id": "demo-client", "key": f"k:{key}", "fingerprint": hashlib.sha256(text.encode()).digest(), "day": True})
    sent = row(contender, "SELECT * FROM order_outbox WHERE group_id = %s", order_id)
    faults |= differs(sent, {"correlation_id": anything, "traceparent": re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")})
    event = {"eventType": "ORDER_CREATED", "eventId": str(sent["event_id"]), "orderId": str(order_id), "customerId": customer,
             "items": body["items"], "totalAmount": 1059.97, "timestamp": made["created_at"], "clientId": "demo-client"}
    check(sent["payload"] == json.dumps(event, separators=(",", ":")), f"the event is {sent['payload']}")
    told = row(contender, "SELECT *, xid > 0 AS has_xid, epoch = order_event_epoch() AS has_epoch FROM order_events WHERE order_id = %s", order_id)
    faults |= differs(told, {"has_xid": True, "has_epoch": True, "n": 1, "occurred_at": stored["created_at"], "client_id": "demo-client",
                             "type": "order.created", "previous_status": None, "status": "PENDING_SHIPMENT", "actor": None,
                             "request_id": sent["correlation_id"], "trace_id": sent["traceparent"][3:35], "data": None})
    check(not faults, f"columns that are others: {faults}")


TESTS = {name: test for name, test in globals().items() if name.startswith("test_")}


def run(contender):
    """Runs all tests of one contender. Returns the faults by the names of the tests."""
    faults = collections.OrderedDict()
    with contender.running():
        for name, test in TESTS.items():
            try:
                test(contender)
            except Exception as error:
                cause = f" {error.__cause__}" if error.__cause__ else ""
                faults[name] = f"{type(error).__name__}: {error}{cause}"
    return faults
