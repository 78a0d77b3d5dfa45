"""Every route of docs/openapi.yaml, closed as in production, under the eyes of those who must not get in.

That the document has the routes of the code, and no others, is test_openapi.py's."""

import subprocess
import time

import pytest
from harness import Api, System, assert_problem, basket, eventually, http
from test_openapi import DAEMONS, DOCUMENT, routes_of_the_document
from test_production import add

SECRET = "a-secret-of-production-that-is-long-enough"
CLOSED = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false", "JWT_SECRET": SECRET,
          "CARRIER_SIMULATION": "false", "JWT_ISSUER": "https://orders.example.com", "WEB_UI": "true"}
SCOPES = DOCUMENT["components"]["securitySchemes"]["accessToken"]["flows"]["clientCredentials"]["scopes"]
ROUTES = [(daemon, method.upper(), path, scope) for daemon, method, path, scope in routes_of_the_document()]
ROUTES += [(daemon, "HEAD", path, scope) for daemon, method, path, scope in ROUTES if method == "GET"]


WEBHOOK = {"url": "https://receiver.invalid/", "enabled": False}


def takes(scheme, path, method):
    security = DOCUMENT["paths"][path].get(method.lower(), {}).get("security", [])
    return any(scheme in way for way in security)


def name(route):
    return " ".join(route[:3])


WITH_SCOPE = [route for route in ROUTES if route[3]]
WITH_CREDENTIALS = [route for route in ROUTES if takes("clientBasic", route[2], route[1])]
OPEN = [route for route in ROUTES if route not in WITH_SCOPE and route not in WITH_CREDENTIALS]
SCOPED = pytest.mark.parametrize("route", WITH_SCOPE, ids=name)


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, **CLOSED) as both:
        for daemon in (both.order_svc(), both.delivery_svc()):
            subprocess.run([daemon.program, "--migrate"], env=daemon.environment, check=True, capture_output=True)
            daemon.start()
        both.revoked = revoked_token(both)
        yield both


def revoked_token(system):
    """One that was good for everything."""
    secret, token = add(system, "repentant", *SCOPES), mint(system, "repentant", scope=" ".join(SCOPES))
    calls = [(Api(system.order.url, token), "/orders/none"), (Api(system.delivery.url, token), "/delivery/shipment/none")]
    assert [api.get(path).status_code for api, path in calls] == [404, 404]

    def revoke():
        return http("POST", f"{system.order.url}/auth/revoke", auth=("repentant", secret), data={"token": token})

    eventually(lambda: revoke().status_code == 200, what="knowledge of the new client")
    for api, path in calls:
        eventually(lambda: api.get(path).status_code == 401)
    return token


def mint(system, client_id="owner", **claims):
    return system.mint(client_id, **{"secret": SECRET} | claims)


@pytest.fixture(scope="module")
def things(system):
    """An order and its shipment: whoever gets in finds something."""
    everything = mint(system, scope=" ".join(SCOPES))
    order_id = Api(system.order.url, everything).created()
    shipment = eventually(lambda: Api(system.delivery.url, everything).shipment(order_id))
    return {"file": "main.js", "id": order_id, "orderId": order_id, "shipmentId": shipment["id"]} | new_webhook(system)


def new_webhook(system):
    """One with a delivery."""
    api = Api(system.order.url, mint(system, scope="webhook:manage"))
    webhook_id = api.post("/webhooks", WEBHOOK).json()["id"]
    return {"webhookId": webhook_id, "deliveryId": api.post(f"/webhooks/{webhook_id}/ping").json()["delivery_id"]}


def call(system, things, route, token):
    """A request that is good but for the token."""
    daemon, method, path, _ = route
    bodies = {"/orders": basket(), "/orders/{id}/cancel": {}, "/delivery/shipment/{shipmentId}/status": {"status": "PROCESSING"},
              "/webhooks": WEBHOOK, "/webhooks/{webhookId}/rotate": None, "/webhooks/{webhookId}/ping": None,
              "/webhooks/{webhookId}/deliveries/{deliveryId}/retry": None}
    api = Api(getattr(system, DAEMONS[daemon]).url, token)
    body = bodies[path] if method == "POST" else {} if method == "PATCH" else None
    return api.request(method, path.format(**things), json=body)


def contents(system, things):
    """Without the shipments of other orders, which come when they come."""
    return system.query("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM delivery_events WHERE order_id = %s),"
                        "       (SELECT array_agg((id, updated_at, deleted_at)) FROM webhooks)", things["orderId"])


def test_walk_has_all_there_is():
    assert {path for *_, path, _ in WITH_CREDENTIALS} >= {"/auth/token", "/auth/introspect", "/auth/revoke"}
    assert {name(route) for route in WITH_SCOPE} >= {
        "order-svc POST /orders", "order-svc GET /orders", "order-svc HEAD /orders/{id}",
        "delivery-svc GET /delivery/shipment/{orderId}", "delivery-svc POST /delivery/shipment/{shipmentId}/status"}
    assert all(path.startswith(("/health", "/.well-known/")) or path in ("/", "/app/{file}") for _, _, path, _ in OPEN), "who opened this?"


@SCOPED
def test_right_token_gets_in(system, things, route):
    things |= new_webhook(system) if "{webhookId}" in route[2] else {}  # which the walk may delete
    if route[2] == "/orders/{id}/cancel":  # the others need theirs
        unwanted = Api(system.order.url, mint(system, scope="order:create order:read"))
        things = things | {"id": unwanted.created()}
        assert call(system, things, route, mint(system, scope=route[3])).status_code == 202
        eventually(lambda: unwanted.order(things["id"])["status"] == "CANCELLED")
    assert call(system, things, route, mint(system, scope=route[3])).status_code in (200, 201, 202, 204)


UNKNOWN = {
    "no token": (lambda system, scope: None, "UNAUTHORIZED"),
    "expired": (lambda system, scope: mint(system, scope=scope, exp=int(time.time()) - 1), "TOKEN_EXPIRED"),
    "of tomorrow": (lambda system, scope: mint(system, scope=scope, nbf=int(time.time()) + 86400), "INVALID_TOKEN"),
    "of another issuer": (lambda system, scope: mint(system, scope=scope, iss="elsewhere"), "INVALID_TOKEN"),
    "for another audience": (lambda system, scope: mint(system, scope=scope, aud="elsewhere"), "INVALID_TOKEN"),
    "revoked": (lambda system, scope: system.revoked, "INVALID_TOKEN"),
    "signed by another": (lambda system, scope: mint(system, scope=scope, secret="x" * 32), "INVALID_TOKEN"),
    "unsigned": (lambda system, scope: mint(system, scope=scope).rsplit(".", 1)[0] + ".", "INVALID_TOKEN"),
}


@SCOPED
@pytest.mark.parametrize("who", UNKNOWN)
def test_unknown_stays_outside(system, things, route, who):
    make, code = UNKNOWN[who]
    before = contents(system, things)
    answer = call(system, things, route, make(system, route[3]))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    if route[1] != "HEAD":
        assert_problem(answer, 401, code)
    assert contents(system, things) == before


@SCOPED
def test_every_other_scope_together_is_not_enough(system, things, route):
    before = contents(system, things)
    answer = call(system, things, route, mint(system, scope=" ".join(SCOPES.keys() - {route[3]})))
    assert answer.status_code == 403
    assert f'scope="{route[3]}"' in answer.headers["WWW-Authenticate"]
    assert contents(system, things) == before


@pytest.mark.parametrize("route", [route for route in WITH_SCOPE if "{id}" in route[2] or "{webhookId}" in route[2]],
                         ids=name)
def test_order_or_webhook_of_another_client_is_not_found(system, things, route):
    stranger = mint(system, "stranger", scope="order:read order:create delivery:read delivery:write webhook:manage")
    assert call(system, things, route, stranger).status_code == 404


def test_list_has_nothing_of_another_client(system, things):
    stranger = Api(system.order.url, mint(system, "stranger", scope="order:read"))
    assert stranger.get("/orders").json()["orders"] == []


@pytest.mark.parametrize("route", WITH_CREDENTIALS, ids=name)
def test_route_for_clients_wants_their_credentials(system, route):
    daemon, method, path, _ = route
    form = {"grant_type": "client_credentials", "token": mint(system)}
    url = getattr(system, DAEMONS[daemon]).url + path
    wrong = [{}, {"auth": ("owner", "wrong")}]
    if not takes("accessToken", path, method):
        wrong.append({"headers": {"Authorization": f"Bearer {mint(system)}"}})
    for credentials in wrong:
        answer = http(method, url, data=form, **credentials)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), credentials
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("route", OPEN, ids=name)
def test_open_route_is_open(system, route):
    daemon, method, path, _ = route
    assert http(method, getattr(system, DAEMONS[daemon]).url + path.format(file="main.js")).status_code == 200


@pytest.mark.parametrize("daemon", DAEMONS)
def test_path_has_the_methods_of_the_document_and_is_on_no_other_daemon(system, things, daemon):
    documented = {}
    for where, method, path, _ in ROUTES:
        documented.setdefault(path, {}).setdefault(where, set()).add(method)
    for path, methods in documented.items():
        answer = Api(getattr(system, DAEMONS[daemon]).url).request("PUT", path.format(**things))
        if daemon in methods:
            assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
            assert set(answer.headers["Allow"].split(", ")) == methods[daemon]
        else:
            assert_problem(answer, 404, "NOT_FOUND")
