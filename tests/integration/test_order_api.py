"""order-svc's routes: every row of its table in docs, every bound of a field, every error code."""

import base64
import json
import socket
import uuid

import pytest
from harness import (TIMESTAMP, UUID, Api, System, assert_problem, at_once, basket, eventually, http, pointers,
                     status_update)


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as one:
        one.order_svc().start()
        yield one


@pytest.fixture(scope="module")
def api(system):
    return system.client()


def item(**changes):
    return {"product_id": "p-1", "quantity": 1, "unit_price": 1.5} | changes


# Tokens

def token_requests():
    basic = base64.b64encode(b"demo-client:demo-secret").decode()
    grant = {"grant_type": "client_credentials"}
    secret = {"client_id": "demo-client", "client_secret": "demo-secret"}
    return {
        "basic": {"data": grant, "headers": {"Authorization": f"Basic {basic}"}},
        "form": {"data": grant | secret},
        "json": {"json": grant | secret},
    }


@pytest.mark.parametrize("way", ["basic", "form", "json"])
def test_token_is_given_in_each_of_the_three_ways(system, way):
    response = http("POST", f"{system.order.url}/auth/token", **token_requests()[way])
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    token = response.json()
    assert token.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 86400)
    assert token["scope"] == "order:create order:read"
    assert Api(system.order.url, token["access_token"]).create().status_code == 201


# POST /orders and GET /orders/:id

def test_create_answers_with_the_receipt_and_where_the_order_is(api):
    response = api.create(basket())
    assert response.status_code == 201
    receipt = response.json()
    assert receipt.keys() == {"order_id", "status", "total_amount", "created_at"}
    assert UUID.fullmatch(receipt["order_id"])
    assert TIMESTAMP.fullmatch(receipt["created_at"])
    assert (receipt["status"], receipt["total_amount"]) == ("PENDING_SHIPMENT", 1059.97)
    assert response.headers["Location"] == f"/orders/{receipt['order_id']}"
    assert response.headers["Content-Type"].startswith("application/json")
    assert api.get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize("price, quantity, total", [
    (10, 1, "10.00"), (0.01, 1, "0.01"), (0.1, 3, "0.30"), (19.99, 3, "59.97"), (1.10, 1, "1.10"),
    (99999999.99, 100, "9999999999.00"), (1e2, 1, "100.00"),
])
def test_money_is_a_number_with_two_decimals_everywhere(api, price, quantity, total):
    response = api.create(basket(items=[item(unit_price=price, quantity=quantity)]))
    assert f'"total_amount":{total}' in response.text.replace(" ", "")
    view = api.get(response.headers["Location"]).text.replace(" ", "")
    assert f'"total_amount":{total}' in view
    assert f'"unit_price":{price:.2f}' in view


def test_get_shows_the_order_as_it_was_given(api):
    body = basket()
    order_id = api.created(body)
    order = api.order(order_id)
    assert order.keys() == {"id", "customer_id", "status", "total_amount", "items", "created_at", "updated_at", "currency"}
    assert (order["id"], order["customer_id"], order["items"]) == (order_id, body["customer_id"], body["items"])
    assert (order["status"], order["total_amount"]) == ("PENDING_SHIPMENT", 1059.97)
    assert order["created_at"] == order["updated_at"]
    assert TIMESTAMP.fullmatch(order["created_at"])


def test_tracking_number_and_carrier_appear_once_shipped(system, api):
    order_id = api.created()
    system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, trackingNumber="T-1", carrier="C"), order_id)
    order = eventually(lambda: (o := api.order(order_id))["status"] == "SHIPPED" and o)
    assert (order["tracking_number"], order["carrier"]) == ("T-1", "C")
    assert order["updated_at"] > order["created_at"]


def test_etag_answers_304_until_the_order_changes(system, api):
    order_id = api.created()
    first = api.get(f"/orders/{order_id}")
    etag = first.headers["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    for value in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = api.get(f"/orders/{order_id}", headers={"If-None-Match": value})
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert api.get(f"/orders/{order_id}", headers={"If-None-Match": '"other"'}).content == first.content
    system.send("DELIVERY_STATUS_QUEUE", status_update(order_id), order_id)
    changed = eventually(lambda: (r := api.get(f"/orders/{order_id}", headers={"If-None-Match": etag}))
                         .status_code == 200 and r)
    assert changed.json()["status"] == "SHIPPED"
    assert changed.headers["ETag"] != etag


def test_etag_is_another_one_for_other_content_of_the_same_version(system, api):
    """A failover to a standby that lagged loses a change, and the next one has its version."""
    order_id = api.created()
    system.send("DELIVERY_STATUS_QUEUE", status_update(order_id), order_id)
    eventually(lambda: api.order(order_id)["status"] == "SHIPPED")
    etag = api.get(f"/orders/{order_id}").headers["ETag"]
    system.query("UPDATE orders SET tracking_number = 'another' WHERE id = %s", order_id)
    after = api.get(f"/orders/{order_id}", headers={"If-None-Match": etag})
    assert (after.status_code, after.json().get("tracking_number")) == (200, "another")
    assert after.headers["ETag"].partition("-")[0] == etag.partition("-")[0]


@pytest.mark.parametrize("path", ["/orders/{id}", "/orders", "/health", "/health/live", "/health/ready"])
def test_head_works_where_get_does(api, path):
    path = path.format(id=api.created())
    get, head = api.get(path), api.request("HEAD", path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.headers.get("ETag") == get.headers.get("ETag")


# GET /orders

def walk(api, limit, **filters):
    """All pages of a list; the pages' sizes."""
    orders, sizes, cursor = [], [], {}
    while True:
        response = api.get("/orders", params={"limit": limit, **filters, **cursor})
        assert response.status_code == 200, response.text
        page = response.json()
        assert page.keys() == {"orders", "next_cursor"}
        orders += page["orders"]
        sizes.append(len(page["orders"]))
        if page["next_cursor"] is None:
            return orders, sizes
        cursor = {"cursor": page["next_cursor"]}


def test_list_is_newest_first_in_keyset_pages(api):
    customer = f"c-{uuid.uuid4()}"
    made = [api.created(basket(customer), key=str(uuid.uuid4())) for _ in range(7)]
    orders, sizes = walk(api, 3, customer_id=customer)
    assert [order["id"] for order in orders] == made[::-1]
    assert sizes == [3, 3, 1]
    assert orders[0]["total_amount"] == 1059.97
    assert orders[0]["customer_id"] == customer
    assert walk(api, 7, customer_id=customer)[1] == [7]


def test_orders_made_between_two_pages_neither_repeat_nor_hide_others(api):
    customer = f"c-{uuid.uuid4()}"
    made = [api.created(basket(customer), key=str(uuid.uuid4())) for _ in range(4)]
    first = api.get("/orders", params={"customer_id": customer, "limit": 2}).json()
    api.created(basket(customer), key=str(uuid.uuid4()))
    rest = api.get("/orders", params={"customer_id": customer, "limit": 2, "cursor": first["next_cursor"]}).json()
    assert [order["id"] for order in first["orders"] + rest["orders"]] == made[::-1]


def test_list_filters_by_status(system, api):
    customer = f"c-{uuid.uuid4()}"
    shipped, waiting = (api.created(basket(customer), key=str(uuid.uuid4())) for _ in range(2))
    system.send("DELIVERY_STATUS_QUEUE", status_update(shipped), shipped)
    eventually(lambda: api.order(shipped)["status"] == "SHIPPED")

    def ids(status):
        return [order["id"] for order in walk(api, 10, customer_id=customer, status=status)[0]]

    assert ids("SHIPPED") == [shipped]
    assert ids("PENDING_SHIPMENT") == [waiting]
    assert ids("DELIVERED") == []


def test_list_shows_twenty_unless_told(system):
    api = system.client(f"client-{uuid.uuid4()}")
    for _ in range(21):
        api.created()
    page = api.get("/orders").json()
    assert len(page["orders"]) == 20
    assert page["next_cursor"]
    assert len(api.get("/orders", params={"limit": 100}).json()["orders"]) == 21


@pytest.mark.parametrize("name, value", [
    ("limit", "0"), ("limit", "101"), ("limit", "-1"), ("limit", "ten"), ("limit", "1.5"), ("limit", "9" * 30),
    ("limit", ""), ("status", "LOST"), ("status", "shipped"), ("cursor", "no-cursor"), ("cursor", "A" * 5000),
    ("colour", "red"), ("customer_id", ""), ("customer_id", "x" * 256), ("customer_id", "a\nb"),
    ("customer_id", b"\xff"), ("customer_id", "\u0085"),
])
def test_bad_query_arguments_are_named(api, name, value):
    assert pointers(api.get("/orders", params={name: value})) == {name}


@pytest.mark.parametrize("query, name", [("limit", "limit"), ("status=SHIPPED&cursor", "cursor"), ("%FF=1", "?"),
                                         ("limit=1&limit=2", "limit")])
def test_query_arguments_that_say_nothing_clear_are_named(api, query, name):
    assert pointers(api.get(f"/orders?{query}")) == {name}


# The body of POST /orders

ACCEPTED = {
    "id of 255 characters": {"customer_id": "x" * 255},
    "255 characters of four bytes": {"customer_id": "\U0001f600" * 255},
    "any script": {"customer_id": "Zoë 顧客 \"quoted\" \\ / '; DROP TABLE orders; --"},
    "100 items": {"items": [item()] * 100},
    "least price": {"items": [item(unit_price=0.01)]},
    "greatest price": {"items": [item(unit_price=99999999.99)]},
    "greatest quantity": {"items": [item(quantity=1000000)]},
    "quantity with decimals that say nothing": {"items": [item(quantity=2.0)]},
    "greatest total": {"items": [item(unit_price=99999999.99, quantity=100), item(unit_price=0.99)]},
    "the same product twice": {"items": [item(), item()]},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_order_at_the_bound_is_accepted(api, name):
    body = basket(**ACCEPTED[name])
    order = api.order(api.created(body))
    assert (order["customer_id"], order["items"]) == (body["customer_id"], body["items"])


REFUSED = {
    "customer empty": ({"customer_id": ""}, "/customer_id"),
    "customer too long": ({"customer_id": "x" * 256}, "/customer_id"),
    "customer is a number": ({"customer_id": 7}, "/customer_id"),
    "customer is null": ({"customer_id": None}, "/customer_id"),
    "customer with a line feed": ({"customer_id": "a\nb"}, "/customer_id"),
    "customer with DEL": ({"customer_id": "a\x7fb"}, "/customer_id"),
    "customer with a C1 control": ({"customer_id": "a\x85b"}, "/customer_id"),
    "no items": ({"items": []}, "/items"),
    "101 items": ({"items": [item()] * 101}, "/items"),
    "items is an object": ({"items": {}}, "/items"),
    "items is null": ({"items": None}, "/items"),
    "item is a string": ({"items": ["laptop"]}, "/items/0"),
    "product empty": ({"items": [item(product_id="")]}, "/items/0/product_id"),
    "product too long": ({"items": [item(product_id="x" * 256)]}, "/items/0/product_id"),
    "product with a tab": ({"items": [item(product_id="a\tb")]}, "/items/0/product_id"),
    "quantity zero": ({"items": [item(quantity=0)]}, "/items/0/quantity"),
    "quantity negative": ({"items": [item(quantity=-1)]}, "/items/0/quantity"),
    "quantity too great": ({"items": [item(quantity=1000001)]}, "/items/0/quantity"),
    "quantity a fraction": ({"items": [item(quantity=1.5)]}, "/items/0/quantity"),
    "quantity a string": ({"items": [item(quantity="1")]}, "/items/0/quantity"),
    "quantity true": ({"items": [item(quantity=True)]}, "/items/0/quantity"),
    "price zero": ({"items": [item(unit_price=0)]}, "/items/0/unit_price"),
    "price negative": ({"items": [item(unit_price=-0.01)]}, "/items/0/unit_price"),
    "price with three decimals": ({"items": [item(unit_price=1.999)]}, "/items/0/unit_price"),
    "price below a cent": ({"items": [item(unit_price=0.001)]}, "/items/0/unit_price"),
    "price too great": ({"items": [item(unit_price=100000000)]}, "/items/0/unit_price"),
    "price a string": ({"items": [item(unit_price="9.99")]}, "/items/0/unit_price"),
    "total too great": ({"items": [item(unit_price=99999999.99, quantity=1000000)]}, "/items"),
    "unknown member": ({"coupon": "X"}, "/coupon"),
    "unknown member of an item": ({"items": [item(colour="red")]}, "/items/0/colour"),
    "unknown member to be escaped": ({"a/b~c": 1}, "/a~1b~0c"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_order_beyond_the_bound_is_refused_with_the_place_named(api, name):
    changes, pointer = REFUSED[name]
    assert pointers(api.create(basket(**changes))) == {pointer}


@pytest.mark.parametrize("member", ["customer_id", "items"])
def test_missing_member_is_named(api, member):
    body = basket()
    del body[member]
    assert pointers(api.create(body)) == {f"/{member}"}


@pytest.mark.parametrize("member", ["product_id", "quantity", "unit_price"])
def test_missing_member_of_an_item_is_named(api, member):
    bad = item()
    del bad[member]
    assert pointers(api.create(basket(items=[item(), bad]))) == {f"/items/1/{member}"}


def test_all_faults_of_a_body_come_in_one_answer(api):
    body = {"customer_id": "", "coupon": 1,
            "items": [item(quantity=0, unit_price=1.999), "x", item(product_id=None, colour="red")]}
    assert pointers(api.create(body)) == {
        "/customer_id", "/coupon", "/items/0/quantity", "/items/0/unit_price", "/items/1", "/items/2/product_id",
        "/items/2/colour"}


GOOD = json.dumps(basket("c")).encode()
MALFORMED = {
    "empty": b"", "blank": b"  \n", "not JSON": b"{", "two values": GOOD + GOOD, "an array": b"[]",
    "a string": b'"order"', "a number": b"1", "null": b"null",
    "duplicate key": GOOD.replace(b"{", b'{"customer_id":"other",', 1),
    "duplicate key of an item": GOOD.replace(b'"quantity": 1', b'"quantity": 1, "quantity": 2'),
    "too deep": b'{"customer_id":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a NUL byte": GOOD.replace(b'"c"', b'"a\x00b"'), "an escaped NUL": GOOD.replace(b'"c"', b'"a\\u0000b"'),
    "not UTF-8": GOOD.replace(b'"c"', b'"\xff\xfe"'), "a lone surrogate": GOOD.replace(b'"c"', b'"\\ud800"'),
    "an overlong encoding": GOOD.replace(b'"c"', b'"\xc0\xaf"'), "NaN": GOOD.replace(b"999.99", b"NaN"),
    "a number beyond all bounds": GOOD.replace(b"999.99", b"1e999"),
    "an integer beyond 64 bits": GOOD.replace(b'"quantity": 1', b'"quantity": 99999999999999999999'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_body_is_refused(api, name):
    assert_problem(api.create(MALFORMED[name]), 400, "VALIDATION_ERROR")


def test_nothing_is_stored_of_a_refused_order(system, api):
    before = system.query("SELECT count(*) FROM orders")
    api.create(basket(items=[item(), item(quantity=0)]))
    assert system.query("SELECT count(*) FROM orders") == before


def padded(size):
    body = json.dumps(basket()).encode()
    return body + b" " * (size - len(body))


def test_body_of_64_kib_is_read_and_no_more(api):
    assert api.create(padded(65536)).status_code == 201
    assert_problem(api.create(padded(65537)), 413, "PAYLOAD_TOO_LARGE")


def test_body_of_unknown_length_is_held_to_the_limit(api):
    def chunks(size):
        yield from (padded(size)[at:at + 4096] for at in range(0, size, 4096))

    headers = {"Content-Type": "application/json"}
    assert api.request("POST", "/orders", data=chunks(65536), headers=headers).status_code == 201
    assert_problem(api.request("POST", "/orders", data=chunks(200000), headers=headers), 413, "PAYLOAD_TOO_LARGE")


def test_declared_length_is_refused_before_the_body_comes(system):
    with socket.create_connection(("127.0.0.1", system.order.port), timeout=30) as raw:
        raw.sendall(f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.mint()}\r\n"
                    "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("content_type, status", [
    ("application/json", 201), ("application/json; charset=utf-8", 201), ("APPLICATION/JSON", 201),
    ("text/plain", 415), ("application/jsonp", 415), ("application/x-www-form-urlencoded", 415), (None, 415),
])
def test_content_type_must_be_json(api, content_type, status):
    response = api.create(headers={"Content-Type": content_type})
    assert response.status_code == status
    if status == 415:
        assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


# Routes, methods, headers

@pytest.mark.parametrize("path", ["//", "/nope", "/order", "/orders/", "/orders/a/b", "/health/", "/auth", "/%00"])
def test_unknown_path_is_404(api, path):
    assert api.get(path).status_code == 404


def test_unknown_path_is_a_problem_document(api):
    assert_problem(api.get("/nope"), 404, "NOT_FOUND")


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/orders", {"GET", "HEAD", "POST"}), ("PUT", f"/orders/{uuid.uuid4()}", {"GET", "HEAD"}),
    ("POST", f"/orders/{uuid.uuid4()}", {"GET", "HEAD"}), ("GET", "/auth/token", {"POST"}),
    ("PUT", "/auth/introspect", {"POST"}), ("POST", "/health", {"GET", "HEAD"}), ("PATCH", "/orders", {"GET", "HEAD", "POST"}),
])
def test_wrong_method_is_405_with_those_allowed(api, method, path, allow):
    response = api.request(method, path)
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert set(response.headers["Allow"].replace(" ", "").split(",")) == allow


@pytest.mark.parametrize("order_id", [str(uuid.uuid4()), "not-a-uuid", "x" * 3000, "%F0%9F%98%80"])
def test_order_that_does_not_exist_is_404(api, order_id):
    assert_problem(api.get(f"/orders/{order_id}"), 404, "ORDER_NOT_FOUND")


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Correlation-Id"])
def test_request_id_of_the_caller_is_kept(api, name):
    for path in ("/health", "/nope", "/orders"):
        assert api.get(path, headers={name: "my-Request_1.2"}).headers["X-Request-Id"] == "my-Request_1.2"


@pytest.mark.parametrize("bad", ["", "a b", "a" * 129, "a/b", "ü".encode().decode("latin-1"), "<script>"])
def test_bad_request_id_is_replaced_by_a_new_one(api, bad):
    first, second = (api.get("/health", headers={"X-Request-Id": bad}).headers["X-Request-Id"] for _ in range(2))
    assert first not in (bad, second)


def test_health_tells_of_every_part(api):
    response = eventually(lambda: (answer := api.get("/health")).json()["status"] == "healthy" and answer)
    assert response.status_code == 200
    health = response.json()
    assert health["service"] == "order-service"
    assert health["dependencies"] == {"database": True, "redis": True, "sqs": True}
    assert {"timestamp", "version", "uptime"} <= health.keys()
    assert health["uptime"] >= 0
    for path in ("/health/live", "/health/ready"):
        assert api.get(path).status_code == 200


# Who may do what

@pytest.mark.parametrize("header", [None, "InvalidFormat", "Bearer", "Bearer ", "Basic ZGVtbw==", "Bearer a b"])
def test_missing_or_malformed_authorization_is_401(system, header):
    response = Api(system.order.url).get("/orders", headers={"Authorization": header} if header else {})
    assert_problem(response, 401, "UNAUTHORIZED")
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer realm=")
    assert "error" not in challenge


def test_bad_token_is_401_and_says_so(system):
    response = Api(system.order.url, "a.b.c").get("/orders")
    assert_problem(response, 401, "INVALID_TOKEN")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_expired_token_is_401_and_says_so(system):
    response = Api(system.order.url, system.mint(iat=1000, exp=2000)).get("/orders")
    assert_problem(response, 401, "TOKEN_EXPIRED")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("method, path, needs, has", [
    ("POST", "/orders", "order:create", "order:read"), ("GET", "/orders", "order:read", "order:create"),
    ("GET", f"/orders/{uuid.uuid4()}", "order:read", "order:create"), ("GET", "/orders", "order:read", "order:reader"),
    ("GET", "/orders", "order:read", ""),
])
def test_missing_scope_is_403_and_named(system, method, path, needs, has):
    response = system.client(scope=has).request(method, path, headers={"Content-Type": "application/json"})
    assert_problem(response, 403, "FORBIDDEN")
    challenge = response.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge and f'scope="{needs}"' in challenge


def test_order_of_another_client_looks_like_one_that_does_not_exist(system, api):
    order_id = api.created()
    other = system.client("another-client")
    stranger = assert_problem(other.get(f"/orders/{order_id}"), 404, "ORDER_NOT_FOUND")
    nobody = assert_problem(other.get(f"/orders/{uuid.uuid4()}"), 404, "ORDER_NOT_FOUND")
    assert {k: v for k, v in stranger.items() if k != "request_id"} == \
           {k: v for k, v in nobody.items() if k != "request_id"}
    etag = api.get(f"/orders/{order_id}").headers["ETag"]
    assert other.get(f"/orders/{order_id}", headers={"If-None-Match": etag}).status_code == 404
    assert other.get("/orders").json()["orders"] == []


def test_scope_order_read_all_sees_every_order(system, api):
    customer = f"c-{uuid.uuid4()}"
    mine = api.created(basket(customer))
    theirs = system.client("another-client").created(basket(customer))
    admin = system.client("demo-admin", "order:read order:read:all")
    assert admin.order(mine)["customer_id"] == admin.order(theirs)["customer_id"] == customer
    assert [order["id"] for order in walk(admin, 1, customer_id=customer)[0]] == [theirs, mine]


# Trouble

def test_inside_of_a_500_stays_inside_and_is_in_the_log(parts):
    with System(parts) as broken:
        broken.order_svc().start()
        api = broken.client()
        broken.query("ALTER TABLE order_items ADD CONSTRAINT inside CHECK (false)")
        response = api.create(headers={"X-Request-Id": "find-me"})
        assert_problem(response, 500, "INTERNAL_ERROR")
        assert "order_items" not in response.text and "inside" not in response.text
        line = eventually(lambda: [line for line in broken.order.log_lines() if line.get("request_id") == "find-me"])[0]
        assert line["severity_text"] == "ERROR" and "order_items" in line["body"]
        broken.query("ALTER TABLE order_items DROP CONSTRAINT inside")
        assert api.create().status_code == 201


def test_overload_is_shed_with_503_and_retry_after(parts):
    tight = {"DB_POOL_SIZE": "1", "BATCH_SIZE": "1", "HTTP_QUEUE_LIMIT": "1", "DB_LOCK_TIMEOUT": "3s"}
    with System(parts, **tight) as small:
        small.order_svc().start()
        api = small.client()
        with small.parts.connect(small.name) as holder, holder.transaction():
            holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            responses = at_once([api.create] * 20)
        shed = [response for response in responses if response.status_code == 503
                and response.json()["error"] == "OVERLOADED"]
        assert shed
        assert all(int(response.headers["Retry-After"]) >= 1 for response in shed)
        assert eventually(lambda: api.create().status_code == 201)
