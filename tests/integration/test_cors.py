"""Pages of other origins: those of CORS_ORIGINS may use both daemons from a browser, all others may not."""

import subprocess

import pytest
import requests
from harness import System, basket
from test_openapi import routes_of_the_document

SHOP, SECOND = "https://shop.example", "http://localhost:8080"
STRANGERS = ("https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443", "null", "*",
             f"{SHOP},  {SECOND}", "https://SHOP.example", "")
PATHS = {(daemon, path): sorted(method.upper() for owner, method, route, _ in routes_of_the_document()
                                if (owner, route) == (daemon, path))
         for daemon, _, path, _ in routes_of_the_document()}


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, CARRIER_SIMULATION="false", CORS_ORIGINS=f"{SHOP},  {SECOND}") as both:
        both.start()
        yield both


def ask(method, url, **headers):
    body = headers.pop("body", None)
    return requests.request(method, url, headers={name.replace("_", "-"): value for name, value in headers.items()}, json=body,
                            timeout=30)


def cors(response):
    return {name.lower(): value for name, value in response.headers.items() if name.lower().startswith("access-control-")}


def assert_let_in(response, origin=SHOP):
    assert cors(response)["access-control-allow-origin"] == origin
    exposed = cors(response)["access-control-expose-headers"].split(", ")
    assert {"ETag", "Location", "Idempotent-Replayed", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"} <= set(exposed)
    assert response.headers["Vary"] == "Origin"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "access-control-allow-credentials" not in cors(response)


def assert_kept_out(response):
    assert cors(response) == {}
    assert response.headers["Vary"] == "Origin"  # a cache must not give it to others
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("daemon, path", PATHS)
def test_a_preflight_names_the_methods_of_the_path_and_needs_no_token(system, daemon, path):
    url = getattr(system, daemon.removesuffix("-svc")).url + path.replace("{", "").replace("}", "")
    answer = ask("OPTIONS", url, Origin=SHOP, Access_Control_Request_Method=PATHS[daemon, path][0],
                 Access_Control_Request_Headers="authorization,content-type")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_let_in(answer)
    methods = cors(answer)["access-control-allow-methods"].split(", ")
    assert sorted(method for method in methods if method != "HEAD") == PATHS[daemon, path]
    assert ("HEAD" in methods) == ("GET" in methods)
    assert {header.lower() for header in cors(answer)["access-control-allow-headers"].split(", ")} == {
        "authorization", "consistency-token", "content-type", "idempotency-key", "if-none-match", "last-event-id", "x-request-id",
        "traceparent", "tracestate"}
    assert int(cors(answer)["access-control-max-age"]) > 0


@pytest.mark.parametrize("daemon", ["order", "delivery"])
@pytest.mark.parametrize("origin", STRANGERS)
def test_no_other_page_is_let_in(system, daemon, origin):
    url = getattr(system, daemon).url
    preflight = ask("OPTIONS", url + "/health", Origin=origin, Access_Control_Request_Method="GET")
    assert preflight.status_code == 405
    for answer in preflight, ask("GET", url + "/health", Origin=origin), ask("GET", url + "/nowhere", Origin=origin):
        assert_kept_out(answer)


@pytest.mark.parametrize("daemon", ["order", "delivery"])
def test_what_is_no_preflight_is_answered_as_ever(system, daemon):
    url = getattr(system, daemon).url
    assert ask("OPTIONS", url + "/health", Origin=SHOP).status_code == 405
    assert ask("OPTIONS", url + "/health", Access_Control_Request_Method="GET").status_code == 405
    assert ask("OPTIONS", url + "/nowhere", Origin=SHOP, Access_Control_Request_Method="GET").status_code == 404
    assert_kept_out(ask("GET", url + "/health"))


def test_a_page_reads_answers_and_errors_alike(system):
    order, token = system.order.url + "/orders", f"Bearer {system.mint()}"
    made = ask("POST", order, Origin=SECOND, Authorization=token, body=basket())
    assert made.status_code == 201
    one = ask("GET", system.order.url + made.headers["Location"], Origin=SHOP, Authorization=token)
    same = ask("GET", system.order.url + made.headers["Location"], Origin=SHOP, Authorization=token, If_None_Match=one.headers["ETag"])
    answers = {"list": (ask("GET", order, Origin=SHOP, Authorization=token), 200), "one": (one, 200), "unchanged": (same, 304),
               "no token": (ask("GET", order, Origin=SHOP), 401), "bad token": (ask("GET", order, Origin=SHOP, Authorization="Bearer x"), 401),
               "bad order": (ask("POST", order, Origin=SHOP, Authorization=token, body={}), 400),
               "no path": (ask("GET", system.order.url + "/nowhere", Origin=SHOP), 404),
               "no method": (ask("PUT", order, Origin=SHOP), 405),
               "shipments": (ask("GET", system.delivery.url + "/delivery/shipment/x", Origin=SHOP), 404),
               "health": (ask("HEAD", system.delivery.url + "/health", Origin=SHOP), 200)}
    assert_let_in(made, SECOND)
    for name, (answer, status) in answers.items():
        assert answer.status_code == status, name
        assert_let_in(answer)


def test_no_order_is_made_whose_answer_finds_no_room(parts):
    """libmicrohttpd hangs up where a large head leaves no room for the answer's."""
    longest = f"https://{'a' * 63}.{'b' * 63}.{'c' * 63}.example:12345"
    limits = {"RATE_LIMIT": "1000000", "RATE_LIMIT_ADDRESS": "1000000", "ORDER_RATE_LIMIT": "1000000"}
    with System(parts, CORS_ORIGINS=f"{SHOP},{longest}", **limits) as system:
        system.start()
        order, seen = basket(), []
        for size in range(8000, 9400, 10):
            answer = ask("POST", system.order.url + "/orders", Origin=longest, Authorization=f"Bearer {system.mint()}",
                         Idempotency_Key="one-order", X_Padding="x" * size, X_Request_Id="r" * 128, body=order)
            assert_let_in(answer, longest)
            seen.append(answer.status_code)
        assert set(seen) == {201, 400} and seen == sorted(seen)


def test_pages_have_nothing_to_do_with_metrics(system):
    for daemon in system.daemons:
        answer = ask("GET", daemon.metrics_url, Origin=SHOP)
        assert (answer.status_code, cors(answer)) == (200, {})


@pytest.mark.parametrize("origins, fault", [
    ("*", "'*' would let every page in: list the origins"),
    ("https://shop.example/", "'https://shop.example/' must end behind host and port, without a / or a path")])
def test_a_list_that_is_wrong_is_refused(parts, origins, fault):
    with System(parts, CORS_ORIGINS=origins) as wrong:
        for daemon in (wrong.order_svc(), wrong.delivery_svc()):
            refused = subprocess.run([daemon.program], env=daemon.environment, capture_output=True, text=True, timeout=60)
            assert refused.returncode == 1
            assert f"CORS_ORIGINS: must be origins such as https://shop.example, separated by commas; {fault}" in refused.stderr
