"""Limits of requests, by address and by client: what is refused, what is told, who is not held back by others."""

import json
import re
import socket

import pytest
from harness import Api, System, assert_problem, at_once, basket, eventually, http

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


@pytest.fixture(scope="module")
def by_client(parts):
    with System(parts, RATE_LIMIT="5", CARRIER_SIMULATION="false") as both:
        yield both.start()


@pytest.fixture(scope="module")
def by_address(parts):
    """Behind a proxy, which is this test."""
    with System(parts, RATE_LIMIT_ADDRESS="5", TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8") as both:
        yield both.start()


def limited(call):
    """An answer 429: more calls than the quota at once, until one is refused."""
    return eventually(lambda: [answer for answer in at_once([call] * 25) if answer.status_code == 429], what="429")[0]


def fields(answer, name):
    """A RateLimit field as {policy: {parameter: value}}."""
    items = re.findall(r'"([a-z-]+)"((?:;[a-z]=\d+)+)(?:, |$)', answer.headers[name])
    assert ", ".join(f'"{policy}"{parameters}' for policy, parameters in items) == answer.headers[name]
    return {policy: {k: int(v) for k, v in re.findall(r";([a-z])=(\d+)", parameters)} for policy, parameters in items}


def assert_refused(answer, policy, quota, window):
    problem = assert_problem(answer, 429, "RATE_LIMITED")
    assert (problem["type"], problem["violated-policies"]) == (QUOTA_EXCEEDED, [policy])
    assert fields(answer, "RateLimit-Policy")[policy] == {"q": quota, "w": window}
    limit = fields(answer, "RateLimit")[policy]
    assert limit["r"] == 0 and limit["t"] >= 1
    assert int(answer.headers["Retry-After"]) >= limit["t"]


def calls(system, client_id):
    scopes = "order:create order:read delivery:read delivery:write"
    orders, shipments = system.client(client_id, scopes), system.client(client_id, scopes, system.delivery)
    return {
        "create": lambda: orders.create(), "list": lambda: orders.get("/orders"),
        "get": lambda: orders.get("/orders/none"),
        "shipment": lambda: shipments.get("/delivery/shipment/none"),
        "events": lambda: shipments.get("/delivery/shipment/none/events"),
        "move": lambda: shipments.move("none", "SHIPPED"),
    }


@pytest.mark.parametrize("name", ["create", "list", "get", "shipment", "events", "move"])
def test_client_is_refused_beyond_its_quota_and_then_let_in_again(by_client, name):
    call = calls(by_client, f"client-{name}")[name]
    assert fields(call(), "RateLimit")["client"]["r"] < 5
    assert_refused(limited(call), "client", 5, 1)
    assert eventually(lambda: (status := call().status_code) != 429 and status) in (200, 201, 404)


def test_clients_do_not_hold_each_other_back(by_client):
    greedy, modest = calls(by_client, "greedy")["list"], calls(by_client, "modest")["list"]
    limited(greedy)
    answer = modest()
    assert answer.status_code == 200
    assert fields(answer, "RateLimit")["client"]["r"] == 4


def test_token_of_another_counts_against_nobody(by_client):
    """Who cannot prove to be the client must not be able to use up its quota."""
    forged = Api(by_client.order.url, by_client.mint("victim", secret="x" * 32))
    assert {answer.status_code for answer in at_once([lambda: forged.get("/orders")] * 40)} == {401}
    assert fields(by_client.client("victim").get("/orders"), "RateLimit")["client"]["r"] == 4


def test_refused_order_is_not_created(by_client):
    api = by_client.client("buyer")
    answers = at_once([lambda: api.create()] * 50)
    created = sum(answer.status_code == 201 for answer in answers)
    assert {answer.status_code for answer in answers} == {201, 429}
    assert by_client.query("SELECT count(*) FROM orders WHERE client_id = 'buyer'") == [(created,)]


def test_client_orders_no_faster_than_it_may(parts):
    with System(parts, ORDER_RATE_LIMIT="5") as system:
        system.order_svc().start()
        hasty, other = system.client("hasty"), system.client("other")
        answers = [hasty.create(), *at_once([hasty.create] * 24)]
        created = sum(answer.status_code == 201 for answer in answers)
        assert 5 <= created <= 10, "those of one minute; of two at the most"
        assert_refused(next(answer for answer in answers if answer.status_code == 429), "orders", 5, 60)
        assert hasty.get("/orders").status_code == 200, "looking is not ordering"
        assert other.create().status_code == 201
        assert system.query("SELECT count(*) FROM orders") == [(created + 1,)]


@pytest.mark.parametrize("ask", ["memory", "Redis", "PostgreSQL"])
def test_only_new_orders_count(parts, ask):
    """Replays and refusals do not, also where the limit is used up."""
    with System(parts, ORDER_RATE_LIMIT="3", CARRIER_SIMULATION="false") as system:
        first, second = system.order_svc().start(), system.order_svc().start()
        shop, key = system.client("shop"), "key-1"
        order = basket()
        receipt = shop.create(order, key=key)
        assert receipt.status_code == 201
        assert fields(receipt, "RateLimit")["orders"]["r"] == 2
        retry = system.client("shop", daemon=first if ask == "memory" else second)
        if ask == "PostgreSQL":
            system.redis.flushdb()
        bad = [lambda: shop.create({"customer_id": 7}), lambda: shop.create(basket(), key="a key"),
               lambda: shop.create(basket(), key=key)]
        for _ in range(2):
            for answer in at_once([lambda: retry.create(order, key=key)] * 10):
                assert (answer.status_code, answer.text) == (201, receipt.text)
                assert answer.headers["Idempotent-Replayed"] == "true"
            assert [call().status_code for call in bad * 3] == [400, 400, 422] * 3
            while (made := shop.create(basket())).status_code == 201:  # on the second round there is none left
                pass
            assert_refused(made, "orders", 3, 60)
        assert 3 <= system.query("SELECT count(*) FROM orders")[0][0] <= 6, "those of one minute; of two at the most"


def test_anonymous_use_has_no_client(by_client):
    answers = at_once([lambda: by_client.deliveries().get("/delivery/shipment/none")] * 50)
    assert {answer.status_code for answer in answers} == {404}
    assert not any("RateLimit" in answer.headers for answer in answers)


# By address

def via(address, call):
    """The call as the proxy hands it on."""
    return lambda: call({"X-Forwarded-For": address})


def ask_token(system):
    return lambda headers: http("POST", f"{system.order.url}/auth/token", data="", headers=headers)


def unauthorized(system):
    return lambda headers: Api(system.order.url).get("/orders", headers=headers)


@pytest.mark.parametrize("request_of", [ask_token, unauthorized])
def test_address_is_refused_before_anything_is_looked_at(by_address, request_of):
    call = request_of(by_address)
    answer = limited(via(f"192.0.2.{len(request_of.__name__)}", call))
    assert_refused(answer, "address", 5, 1)
    assert "WWW-Authenticate" not in answer.headers
    other = via("198.51.100.1", call)()
    assert other.status_code in (400, 401)
    assert fields(other, "RateLimit")["address"]["r"] >= 3


def test_delivery_is_limited_by_address(by_address):
    api = by_address.deliveries()
    assert_refused(limited(via("192.0.2.1", lambda h: api.get("/delivery/shipment/none", headers=h))), "address", 5, 1)


def test_addresses_of_one_ipv6_subscriber_are_one(by_address):
    api, count = Api(by_address.order.url), iter(range(10 ** 9))
    limited(lambda: api.get("/orders", headers={"X-Forwarded-For": f"2001:db8:1:2::{next(count):x}"}))
    assert fields(via("2001:db8:1:3::1", unauthorized(by_address))(), "RateLimit")["address"]["r"] == 4


def test_client_cannot_choose_its_address(by_address):
    """What stands before the proxy's own words in X-Forwarded-For is what the client says."""
    call, count = unauthorized(by_address), iter(range(10 ** 9))
    limited(lambda: call({"X-Forwarded-For": f"203.0.113.{next(count) % 256}, 192.0.2.99, 10.0.0.7"}))


def test_address_of_an_unknown_proxy_is_its_own(by_client, parts):
    with System(parts, RATE_LIMIT_ADDRESS="5") as system:
        system.order_svc().start()
        count = iter(range(10 ** 9))
        limited(lambda: unauthorized(system)({"X-Forwarded-For": f"203.0.113.{next(count) % 256}"}))


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/nowhere"])
def test_what_costs_nothing_has_no_limit(by_address, path):
    limited(via("192.0.2.50", unauthorized(by_address)))
    answers = at_once([via("192.0.2.50", lambda h: Api(by_address.order.url).get(path, headers=h))] * 50)
    assert len({answer.status_code for answer in answers}) == 1
    assert {answer.status_code for answer in answers} <= {200, 404}


def test_connection_of_a_refused_request_goes_on(by_address):
    """Its body is read away: the next request on the connection is answered."""
    body = json.dumps(basket()).encode()
    request = (f"POST /orders HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.77\r\nContent-Length: {len(body)}\r\n\r\n"
               .encode() + body)
    last = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", by_address.order.port), timeout=30) as raw:
        raw.sendall(request * 60 + last)
        received = b""
        while data := raw.recv(65536):
            received += data
    statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", received)
    assert len(statuses) == 61 and statuses[-1] == b"200"
    assert set(statuses[:-1]) == {b"401", b"429"}


def test_refusals_are_in_the_log_but_do_not_fill_it(by_address):
    limited(via("192.0.2.111", unauthorized(by_address)))
    lines = eventually(lambda: [line["body"] for line in by_address.order.log_lines() if "limit 'address'" in line["body"]])
    assert 1 <= len(lines) <= 5, "one a minute"
    assert "192.0.2." in lines[0]


def test_limits_need_no_redis(parts):
    with System(parts, RATE_LIMIT="5", REDIS_HOST="127.0.0.1", REDIS_PORT="9") as system:
        system.order_svc().start()
        assert_refused(limited(lambda: system.client().get("/orders")), "client", 5, 1)
