"""OWASP API Security Top 10 (2023), a group for each. What other modules show is named here and not shown again."""

import gzip
import json
import socket
import threading
import time
import uuid

import jwt
import pytest
from harness import SECRET, Api, System, assert_problem, basket, eventually, http, order_created, pointers, status_update
from test_openapi import DOCUMENT

EVERY_SCOPE = "order:create order:read delivery:read delivery:write"


@pytest.fixture(scope="module")
def api(by_hand):
    return by_hand.client("owner", EVERY_SCOPE)


@pytest.fixture(scope="module")
def deliveries(by_hand):
    return by_hand.client("owner", EVERY_SCOPE, by_hand.delivery)


@pytest.fixture(scope="module")
def order_id(api):
    return api.created()


@pytest.fixture(scope="module")
def shipment(deliveries, order_id):
    return eventually(lambda: deliveries.shipment(order_id))


# API1 Broken object level authorization. Also test_route_walk.py; test_order_api.py: another's order looks like none;
# test_idempotency.py: another's key. delivery:write is for those who carry the shipments of all clients.

@pytest.mark.parametrize("query", [{}, {"customer_id": "victim"}, {"status": "PENDING_SHIPMENT"}, {"cursor": "theirs"}])
def test_api1_no_way_of_asking_leads_to_orders_of_another(by_hand, api, query):
    theirs = api.created(basket("victim"), key=str(uuid.uuid4()))
    mine = by_hand.client(f"stranger-{uuid.uuid4()}")
    own = mine.created(basket("victim"))
    query = query | ({"cursor": "ffffffff-ffff-7fff-bfff-ffffffffffff"} if "cursor" in query else {})
    assert [order["id"] for order in mine.get("/orders", params=query).json()["orders"]] == [own]
    assert mine.get(f"/orders/{theirs}").status_code == 404


def test_api1_position_of_another_in_the_list_tells_nothing(by_hand, api):
    theirs = api.created()
    page = by_hand.client("stranger").get("/orders", params={"cursor": theirs}).json()
    assert page == {"orders": [], "next_cursor": None}


SHIPMENT = ("/delivery/shipment/{}", "/delivery/shipment/{}/events")


def reads(system, order_id, client_id=None, scope="delivery:read"):
    """What a client, or somebody without a token, is told of the shipment of an order."""
    api = system.client(client_id, scope, system.delivery) if client_id else system.deliveries()
    return [api.get(path.format(order_id)).status_code for path in SHIPMENT]


def test_api1_shipment_of_another_looks_like_none(by_hand, order_id, shipment):
    assert reads(by_hand, order_id, "owner") == [200, 200]
    assert reads(by_hand, order_id, "stranger") == [404, 404]
    assert reads(by_hand, order_id, "owne") == [404, 404]
    assert reads(by_hand, order_id, "courier", "delivery:read delivery:read:all") == [200, 200]
    assert reads(by_hand, order_id) == [200, 200], "in development without a token"
    nobody = by_hand.client("stranger", "delivery:read", by_hand.delivery).get(SHIPMENT[0].format(uuid.uuid4())).json()
    theirs = by_hand.client("stranger", "delivery:read", by_hand.delivery).get(SHIPMENT[0].format(order_id)).json()
    assert {**nobody, "request_id": ""} == {**theirs, "request_id": ""}


def test_api1_shipment_without_a_client_is_for_those_who_see_all(by_hand):
    order = str(uuid.uuid4())
    by_hand.send("ORDERS_QUEUE", order_created(order), order)
    eventually(lambda: by_hand.deliveries().shipment(order))
    assert reads(by_hand, order, "owner") == [404, 404]
    assert reads(by_hand, order, "courier", "delivery:read delivery:read:all") == [200, 200]
    by_hand.send("ORDERS_QUEUE", order_created(order, clientId="owner"), order)  # told again, by the version of now
    eventually(lambda: reads(by_hand, order, "owner") == [200, 200])
    by_hand.send("ORDERS_QUEUE", order_created(order, clientId="thief"), order)
    other = str(uuid.uuid4())
    by_hand.send("ORDERS_QUEUE", order_created(other, clientId="thief"), order)  # comes after it
    eventually(lambda: reads(by_hand, other, "thief") == [200, 200])
    assert reads(by_hand, order, "thief") == [404, 404]
    assert len(by_hand.deliveries().get(SHIPMENT[1].format(order)).json()["events"]) == 1


# API2 Broken authentication. test_tokens.py: forged tokens, introspection, errors; test_brute_force.py: guessing;
# test_production.py: clients and their secrets.

@pytest.mark.parametrize("place", ["query", "cookie", "form", "other header"])
def test_api2_token_counts_nowhere_but_in_its_header(by_hand, api, place):
    where = {"query": {"params": {"access_token": api.token}}, "cookie": {"cookies": {"access_token": api.token}},
             "form": {"data": {"access_token": api.token}}, "other header": {"headers": {"X-Access-Token": api.token}}}
    assert_problem(http("GET", f"{by_hand.order.url}/orders", **where[place]), 401, "UNAUTHORIZED")


def test_api2_two_tokens_are_none(by_hand, api):
    raw = (f"GET /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {api.token}\r\n"
           f"Authorization: Bearer {by_hand.mint('other')}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", by_hand.order.port), timeout=30) as connection:
        connection.sendall(raw.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


# API3 Broken object property level authorization. test_openapi.py holds every answer to the members that are listed.

@pytest.mark.parametrize("member", ["id", "order_id", "status", "total_amount", "client_id", "created_at", "version",
                                    "tracking_number", "__proto__"])
def test_api3_order_takes_no_member_that_is_not_its_clients_to_set(api, member):
    assert pointers(api.create(basket() | {member: "DELIVERED"})) == {f"/{member}"}


@pytest.mark.parametrize("member", ["id", "order_id", "delivered_at", "next_transition_at", "created_at"])
def test_api3_shipment_takes_no_other_member(deliveries, shipment, member):
    assert pointers(deliveries.move(shipment["id"], "PROCESSING", **{member: "x"})) == {f"/{member}"}


def test_api3_token_request_gets_nothing_by_asking_for_more(by_hand):
    wish = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    more = {"scopes": EVERY_SCOPE, "admin": "true", "sub": "demo-admin", "expires_in": "999999999"}
    given = http("POST", f"{by_hand.order.url}/auth/token", data=wish | more).json()
    claims = jwt.decode(given["access_token"], SECRET, ["HS256"], audience="order-api")
    assert (claims["sub"], claims["scope"], given["expires_in"]) == ("demo-client", "order:create order:read", 86400)


# API4 Unrestricted resource consumption. test_limits.py: requests; test_order_api.py: sizes, counts, pages, overload;
# test_http.py: connections and time; test_hostile_http.py: headers.

def test_api4_compressed_body_is_not_inflated(api):
    bomb = gzip.compress(b" " * 10 ** 7)
    assert_problem(api.create(bomb, headers={"Content-Encoding": "gzip"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert_problem(api.create(bomb), 400, "VALIDATION_ERROR")


def test_api4_page_has_a_most_whatever_the_client_has(api):
    assert pointers(api.get("/orders", params={"limit": 10 ** 6})) == {"limit"}


# API5 Broken function level authorization. test_route_walk.py: every route with every scope but its own.

@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_api5_method_is_what_the_request_line_says(by_hand, header):
    reader = by_hand.client("reader", "order:read")
    assert "orders" in reader.get("/orders", headers={header: "POST"}).json()
    assert_problem(reader.create(headers={header: "GET"}), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/orders/../orders", "/Orders", "//orders", "/orders;x=1", "/orders/%2e%2e/orders",
                                  "/health/../orders", "/%6frders/"])
def test_api5_no_spelling_of_a_path_goes_round_its_guard(by_hand, path):
    with socket.create_connection(("127.0.0.1", by_hand.order.port), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(65536)[:13] in (b"HTTP/1.1 404 ", b"HTTP/1.1 401 ")


@pytest.mark.parametrize("scope", ["order:read:all", "order:*", "*", "ORDER:READ", "order:read,order:create", "order:"])
def test_api5_scope_is_one_word_that_fits_whole(by_hand, scope):
    assert_problem(by_hand.client(scope=scope).get("/orders"), 403, "FORBIDDEN")


# API6 Unrestricted access to sensitive business flows: here, ordering. test_limits.py: so many orders a minute;
# test_idempotency.py: the same basket again is no new order.

def test_api6_fresh_tokens_give_no_fresh_quota(parts):
    with System(parts, ORDER_RATE_LIMIT="3") as system:
        system.order_svc().start()
        answers = [system.client("reseller").create() for _ in range(6)]
        assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 3


# API7 Server side request forgery: no URL that comes from outside is ever asked.

@pytest.fixture
def trap():
    """A URL, and the list of those who came."""
    visitors = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def listen():
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                visitors.append(connection.recv(1000))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", visitors
        done.set()
        thread.join()


def test_api7_urls_are_words_like_others(by_hand, trap):
    url, visitors = trap
    headers = {"Referer": url, "Origin": url.rstrip("/"), "X-Forwarded-Host": url, "X-Forwarded-For": url, "Forwarded": url,
               "X-Original-URL": url, "Link": f"<{url}>", "Idempotency-Key": str(uuid.uuid4())}
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order = api.order(api.created(basket(url, items=[{"product_id": url, "quantity": 1, "unit_price": 1}]), headers=headers))
    assert (order["customer_id"], order["items"][0]["product_id"]) == (url, url)
    shipment = eventually(lambda: deliveries.shipment(order["id"]))
    assert deliveries.move(shipment["id"], "SHIPPED", tracking_number=url, carrier=url).status_code == 200
    eventually(lambda: api.order(order["id"]).get("carrier") == url)
    claims = {"iss": url, "aud": url, "sub": "x", "exp": int(time.time()) + 60}
    lured = jwt.encode(claims, "x" * 32, headers={"typ": "at+jwt", "jku": url, "x5u": url, "kid": url})
    assert Api(by_hand.order.url, lured).get("/orders").status_code == 401
    http("POST", f"{by_hand.order.url}/auth/introspect", data={"token": lured, "redirect_uri": url, "client_id": url})
    assert visitors == []
    assert not any(url.rstrip("/") in message for message in by_hand.order.log_text().splitlines() if '"ERROR"' in message)


# API8 Security misconfiguration. harness.assert_common: the headers of every answer; test_config.py: production refuses
# what suits development only; test_order_api.py: the inside of a 500 stays inside.

@pytest.mark.parametrize("daemon", ["order", "delivery"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]) + ["/nowhere"])
def test_api8_no_page_of_another_origin_is_let_in(by_hand, daemon, method, path):
    url = getattr(by_hand, daemon).url + path.replace("{", "").replace("}", "")
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "X-Echo": "mirror",
            "Access-Control-Request-Headers": "authorization"}
    answer = http(method, url, headers=asks)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    if method in ("OPTIONS", "TRACE"):
        assert answer.status_code in (404, 405)
        assert "mirror" not in answer.text


@pytest.mark.parametrize("token", ["{{7*7}}", "%s%n", "<script>", "../../etc/passwd"])
def test_api8_refusals_repeat_nothing_of_what_was_sent(by_hand, token):
    answer = Api(by_hand.order.url, token).get("/orders", params={token: token}, headers={"X-Request-Id": token})
    assert answer.status_code == 401
    assert token not in answer.text + str(answer.headers)


# API9 Improper inventory management. test_openapi.py: the document has the routes of the code; test_route_walk.py: each
# is where the document says and nowhere else.

@pytest.mark.parametrize("daemon", ["order", "delivery"])
@pytest.mark.parametrize("path", [
    "/v1/orders", "/v2/orders", "/api/orders", "/beta/orders", "/debug", "/debug/pprof", "/admin", "/console", "/status",
    "/env", "/config", "/actuator", "/swagger", "/docs", "/openapi.yaml", "/openapi.json", "/graphql", "/.env",
    "/.git/config", "/server-status", "/auth", "/delivery", "/clients", "/users", "/test",
])
def test_api9_nothing_old_or_hidden_is_served(by_hand, daemon, path):
    assert path not in DOCUMENT["paths"]
    assert_problem(Api(getattr(by_hand, daemon).url).get(path), 404, "NOT_FOUND")


# API10 Unsafe consumption of APIs: what comes from a queue is input like any other. test_seed_defects.py: what cannot be
# applied is a dead letter with its reason; test_flow.py: late, double and unknown statuses change nothing.

BAD_ORDERS = {
    "SQL for an id": {"orderId": "' OR 1=1 --"}, "path for an id": {"orderId": "../../etc/passwd"},
    "number for an id": {"orderId": 7}, "no id": {"orderId": None}, "customer too long": {"customerId": "x" * 10000},
    "customer of two lines": {"customerId": "a\nb"}, "client that is none": {"clientId": ""},
    "client of another type": {"clientId": 7}, "another event": {"eventType": "ORDER_DELETED"},
    "another version": {"version": 2},
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_api10_bad_order_makes_no_shipment(by_hand, name):
    before = by_hand.query("SELECT count(*) FROM shipments")
    by_hand.send("ORDERS_QUEUE", order_created() | BAD_ORDERS[name])
    assert_dead_letter(by_hand, "ORDERS_DLQ")
    assert by_hand.query("SELECT count(*) FROM shipments") == before


@pytest.mark.parametrize("changes", [{"currentStatus": "REFUNDED"}, {"currentStatus": "shipped"}, {"currentStatus": None},
                                     {"trackingNumber": "x" * 300}, {"carrier": {"$ne": 1}}, {"carrier": "a\nb"}], ids=str)
def test_api10_bad_status_changes_no_order(by_hand, api, changes):
    order_id = api.created()
    before = api.get(f"/orders/{order_id}")
    by_hand.send("DELIVERY_STATUS_QUEUE", status_update(order_id) | changes, order_id)
    assert_dead_letter(by_hand, "DELIVERY_STATUS_DLQ")
    assert api.get(f"/orders/{order_id}").content == before.content


def assert_dead_letter(system, queue):
    message, = system.receive(queue, 1)
    assert message["MessageAttributes"]["reason"]["StringValue"]


def test_api10_words_of_an_event_are_data(by_hand, api):
    order_id, carrier = api.created(), "<script>alert(1)</script>'; DROP TABLE orders; --"
    by_hand.send("DELIVERY_STATUS_QUEUE", status_update(order_id, carrier=carrier), order_id)
    eventually(lambda: api.order(order_id)["status"] == "SHIPPED")
    assert api.order(order_id)["carrier"] == carrier
    assert json.dumps(carrier) in api.get(f"/orders/{order_id}").text
