"""docs/openapi.yaml is valid, has exactly the routes of the code, and is true of what the daemons answer."""

import contextlib
import decimal
import re
import types
import urllib.parse
import uuid

import jsonschema
import openapi_spec_validator
import pytest
import yaml
from harness import ROOT, Api, System, at_once, basket, eventually

DOCUMENT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
DAEMONS = {"order-svc": "order", "delivery-svc": "delivery"}
METHODS = ("get", "post", "put", "patch", "delete")


def operations():
    """Path, path item, method and operation of each."""
    for path, item in DOCUMENT["paths"].items():
        for method in item.keys() & set(METHODS):
            yield path, item, method, item[method]


def resolved(node):
    """What a $ref within the document leads to."""
    while "$ref" in node:
        target = DOCUMENT
        for name in node["$ref"].split("/")[1:]:
            target = target[name]
        node = target
    return node


# The document itself

def test_document_is_valid():
    openapi_spec_validator.validate(DOCUMENT)


def test_document_has_the_version_of_the_code():
    version = re.search(r"^project\(\S+ VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert DOCUMENT["info"]["version"] == version[1]


def routes_of_the_code():
    """Daemon, method, path and scope of each row of the tables."""
    row = re.compile(r'"([A-Z]+)",\s*(?:\.pattern = )?"(/[^"]*)"(?:,\s*(?:\.scope = )?"([^"]+)")?')
    for daemon, folder in DAEMONS.items():
        for method, pattern, scope in row.findall((ROOT / f"src/{folder}/routes.c").read_text()):
            yield daemon, method.lower(), re.sub(r":(\w+)", r"{\1}", pattern), scope


def routes_of_the_document():
    for path, item, method, operation in operations():
        scopes = [scope for way in operation.get("security", []) for scope in way.get("accessToken", [])]
        for server in item.get("servers", DOCUMENT["servers"]):
            yield server["description"], method, path, *(scopes or [""])


def test_document_has_the_routes_of_the_code():
    routes = set(routes_of_the_code())
    assert len(routes) >= 14, "the tables are not read any more"
    assert set(routes_of_the_document()) == routes


# Validation against its schemas

def nodes(tree):
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)


def make_validator():
    """Stricter than the document: an answer holds nothing that is not listed. Money is not divided as binary."""
    for schema in nodes(DOCUMENT["components"]["schemas"]):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)

    def multiple_of(_, divisor, value, schema):
        if decimal.Decimal(str(value)) % decimal.Decimal(str(divisor)):
            yield jsonschema.ValidationError(f"{value} is not a multiple of {divisor}")

    validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"multipleOf": multiple_of})
    return validator(DOCUMENT, format_checker=validator.FORMAT_CHECKER)


VALIDATOR = make_validator()


def validate(schema, value):
    VALIDATOR.evolve(schema=schema).validate(value)


def test_examples_fit_their_schemas():
    fitting = [(node.get("schema", node), node["example"]) for node in nodes(DOCUMENT) if "example" in node]
    assert len(fitting) >= 10
    for schema, example in fitting:
        validate(schema, example)


def documented(response):
    """Name and response object of what the document says of this answer."""
    path, method = urllib.parse.urlsplit(response.request.url).path, response.request.method.lower()
    item = next((item for template, item in DOCUMENT["paths"].items()
                 if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)), None)
    if item is None or method not in item:
        name = "MethodNotAllowed" if item else "NotFound"
        return name, DOCUMENT["components"]["responses"][name]
    return item[method]["operationId"], resolved(item[method]["responses"][str(response.status_code)])


HEADERS = {"X-Request-Id", "Consistency-Token", "Location", "Idempotent-Replayed", "ETag", "Cache-Control", "Pragma", "Retry-After",
           "Accept-Encoding", "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "Allow"}


def assert_headers(response, headers):
    headers = {name: resolved(header) for name, header in headers.items()}
    assert headers.keys() <= HEADERS
    sent = {name: response.headers[name] for name in HEADERS & response.headers.keys()}
    if "Cache-Control" not in headers:
        assert sent.pop("Cache-Control") == "no-store"
    assert {name for name, header in headers.items() if header.get("required")} <= sent.keys() <= headers.keys()
    for name, value in sent.items():
        schema = headers[name]["schema"]
        validate(schema, int(value) if schema.get("type") == "integer" else value)


def assert_documented(response, operation, status):
    assert response.status_code == status, response.text
    name, promised = documented(response)
    assert name == operation
    assert_headers(response, promised["headers"])
    if "content" not in promised:
        assert response.content == b""
        return
    assert response.headers["Content-Type"] in promised["content"]
    kind = response.headers["Content-Type"]
    validate(promised["content"][kind]["schema"], response.json() if kind.endswith("json") else response.text)


# What the daemons answer: each case is named by an operation, a status and, where there are several, a remark

def example(schema):
    return DOCUMENT["components"]["schemas"][schema]["example"]


def token_example():
    return DOCUMENT["paths"]["/auth/token"]["post"]["requestBody"]["content"]["application/json"]["example"]


def ask_token(w, **options):
    return Api(w.order.url).request("POST", "/auth/token", **options)


def revoke(w, token=None, auth=("demo-client", "demo-secret")):
    """Without a token, a new one."""
    token = ask_token(w, data=token_example()).json()["access_token"] if token is None else token
    return Api(w.order.url).request("POST", "/auth/revoke", data={"token": token}, auth=auth)


def introspect(w, **options):
    return Api(w.order.url).request("POST", "/auth/introspect", **options)


def too_large(api, path, size):
    return api.post(path, b" " * (size + 1))


def create_twice(w, key, body=None):
    """Without a body, two different ones."""
    assert w.order.create(body, key=key).status_code == 201
    return w.order.create(body, key=key)


def create_while_another_does(w):
    """With a key that another transaction is taking."""
    w.order.create(key="taken")
    with w.system.parts.connect(w.system.name) as rival, rival.transaction():
        rival.execute("UPDATE idempotency_keys SET expires_at = now() WHERE key = 'k:taken'")
        w.system.redis.flushdb()
        return w.order.create(key="taken")


def read_expired(w, path):
    """A position whose events are gone."""
    w.system.query("UPDATE order_event_floor SET epoch = 9")
    try:
        return w.order.get(path, params={"after": f"{1:08x}{0:024x}"})
    finally:
        w.system.query("UPDATE order_event_floor SET epoch = 0")


def move(w, **fields):
    return w.delivery.post(f"/delivery/shipment/{w.shipment_id}/status", fields)


def cancel(w, order_id, **fields):
    return w.order.post(f"/orders/{order_id}/cancel", fields)


def cancel_decided(w, refused):
    """The answer to a wish that is decided. A refused one has left before delivery-svc hears of it."""
    order_id = w.order.created()
    shipment_id = eventually(lambda: w.delivery.shipment(order_id))["id"]
    if refused:
        w.system.query("UPDATE shipments SET status = 'SHIPPED' WHERE id = %s", shipment_id)
    cancel(w, order_id, **example("CancelRequest"))
    eventually(lambda: w.order.order(order_id)["cancellation"] != "requested")
    assert_documented(w.order.get(f"/orders/{order_id}"), "getOrder", 200)
    assert_documented(w.order.get(f"/orders/{order_id}/events"), "getOrderEvents", 200)
    return cancel(w, order_id)


def new_webhook(w):
    return w.order.post("/webhooks", example("NewWebhook"))


def one_webhook_too_many(w):
    """Of a client of its own, whose others may go on."""
    crowd = Api(w.order.url, w.system.mint("crowd", scope="webhook:manage"))
    return [crowd.post("/webhooks", example("NewWebhook")) for _ in range(21)][-1]


def delete_new_webhook(w):
    return w.order.request("DELETE", f"/webhooks/{new_webhook(w).json()['id']}")


def change_webhook(w, webhook_id=None, **options):
    return w.order.request("PATCH", f"/webhooks/{webhook_id or w.webhook_id}", **options)


def retry(w, webhook_id=None):
    return w.order.post(f"/webhooks/{webhook_id or w.webhook_id}/deliveries/{w.webhook_delivery_id}/retry")


FIELDS = {"currency": "JPY", "metadata": {"channel": "web"},
          "items": [{"product_id": "p", "quantity": 1, "unit_price": 1500}]}
GOOD = {  # requests of the routes with a scope
    "createOrder": lambda w: w.order.create(),
    "listOrders": lambda w: w.order.get("/orders", params={"customer_id": "customer-demo-001", "limit": 1}),
    "getOrder": lambda w: w.order.get(f"/orders/{w.order_id}"),
    "cancelOrder": lambda w: cancel(w, w.order_id),
    "getOrderEvents": lambda w: w.order.get(f"/orders/{w.order_id}/events"),
    "getEvents": lambda w: w.order.get("/events", params={"types": "order.created,order.shipped", "limit": 1}),
    "getShipment": lambda w: w.delivery.get(f"/delivery/shipment/{w.order_id}"),
    "getShipmentEvents": lambda w: w.delivery.get(f"/delivery/shipment/{w.order_id}/events"),
    "changeShipmentStatus": lambda w: move(w, **example("StatusChange")),
    "createWebhook": new_webhook,
    "listWebhooks": lambda w: w.order.get("/webhooks", params={"limit": 1}),
    "getWebhook": lambda w: w.order.get(f"/webhooks/{w.webhook_id}"),
    "changeWebhook": lambda w: change_webhook(w, json=example("WebhookChange")),
    "deleteWebhook": lambda w: w.order.request("DELETE", f"/webhooks/{w.webhook_id}"),
    "rotateWebhook": lambda w: w.order.post(f"/webhooks/{w.webhook_id}/rotate"),
    "pingWebhook": lambda w: w.order.post(f"/webhooks/{w.webhook_id}/ping"),
    "listDeliveries": lambda w: w.order.get(f"/webhooks/{w.webhook_id}/deliveries"),
    "retryDelivery": retry,
}
OTHERWISE = {"cancelOrder", "createOrder", "createWebhook", "deleteWebhook", "pingWebhook", "retryDelivery"}  # not answered 200
FAILING = GOOD | {"revokeToken": revoke}  # where the database refuses
HEALTHY = {f"{operation} 200": send for operation, send in GOOD.items() if operation not in OTHERWISE} | {
    "issueToken 200 form": lambda w: ask_token(w, data=token_example()),
    "issueToken 200 JSON": lambda w: ask_token(w, json=token_example()),
    "issueToken 200 Basic": lambda w: ask_token(w, data={"grant_type": "client_credentials"},
                                                auth=("demo-client", "demo-secret")),
    "issueToken 400 grant": lambda w: ask_token(w, data=token_example() | {"grant_type": "password"}),
    "issueToken 400 scope": lambda w: ask_token(w, data=token_example() | {"scope": "order:read:all"}),
    "issueToken 400 body": lambda w: ask_token(w, data="{"),
    "issueToken 415": lambda w: ask_token(w, data=token_example(), headers={"Content-Encoding": "gzip"}),
    "introspectToken 415": lambda w: Api(w.order.url).post("/auth/introspect", b"", headers={"Content-Encoding": "gzip"}),
    "revokeToken 415": lambda w: Api(w.order.url).post("/auth/revoke", b"", headers={"Content-Encoding": "gzip"}),
    "createOrder 415 encoded": lambda w: w.order.create(headers={"Content-Encoding": "gzip"}),
    "issueToken 401": lambda w: ask_token(w, data=token_example() | {"client_secret": "wrong"}),
    "issueToken 413": lambda w: too_large(w.order, "/auth/token", 16384),
    "revokeToken 200": revoke,
    "revokeToken 200 unknown": lambda w: revoke(w, "a.b.c"),
    "revokeToken 400": lambda w: revoke(w, ""),
    "revokeToken 200 of another": lambda w: revoke(w, auth=("demo-admin", "demo-admin-secret")),
    "revokeToken 400 of another": lambda w: revoke(w, auth=("test-client", "demo-secret")),
    "revokeToken 401": lambda w: revoke(w, auth=("demo-client", "wrong")),
    "revokeToken 413": lambda w: too_large(w.order, "/auth/revoke", 16384),
    "introspectToken 200 active": lambda w: introspect(w, data={"token": w.order.token}),
    "introspectToken 200 inactive": lambda w: introspect(w, json={"token": "a.b.c"}),
    "introspectToken 400": lambda w: introspect(w, data={}),
    "introspectToken 401": lambda w: introspect(w, data={"token": "a.b.c"}, auth=("demo-client", "wrong")),
    "introspectToken 200 by a token": lambda w: introspect(w, data={"token": w.order.token},
                                                           headers={"Authorization": f"Bearer {w.order.token}"}),
    "introspectToken 401 token": lambda w: introspect(w, data={"token": "a.b.c"}, headers={"Authorization": "Bearer x"}),
    "introspectToken 401 none": lambda w: introspect(w, data={"token": "a.b.c"}, headers={"Authorization": "Bearer"}),
    "introspectToken 413": lambda w: too_large(w.order, "/auth/introspect", 16384),
    "getKeys 200": lambda w: w.order.get("/.well-known/jwks.json"),
    "getMetadata 404": lambda w: w.order.get("/.well-known/oauth-authorization-server"),
    "createOrder 201": lambda w: w.order.create(example("NewOrder"), key=str(uuid.uuid4())),
    "createOrder 201 replayed": lambda w: create_twice(w, "replayed", example("NewOrder")),
    "createOrder 400 body": lambda w: w.order.create(basket(items=[{"colour": "red"}] * 100)),
    "createOrder 400 key": lambda w: w.order.create(key="x" * 256),
    "createOrder 201 with more": lambda w: w.order.create(basket(**FIELDS)),
    "createOrder 409": create_while_another_does,
    "createOrder 409 of a reference": lambda w: [w.order.create(basket(reference="taken"), key=k) for k in "ab"][-1],
    "listOrders 200 by change": lambda w: w.order.get("/orders", params={"updated_since": "2026-01-01T00:00:00Z", "limit": 1}),
    "getOrder 200 with more": lambda w: w.order.get(f"/orders/{w.order.created(basket(**FIELDS, reference=str(uuid.uuid4())))}"),
    "createOrder 413": lambda w: too_large(w.order, "/orders", 65536),
    "createOrder 415": lambda w: w.order.create(headers={"Content-Type": "text/plain"}),
    "createOrder 422": lambda w: create_twice(w, "reused"),
    "listOrders 200 more": lambda w: w.order.get("/orders", params={"limit": 1}),
    "listOrders 400": lambda w: w.order.get("/orders", params={"limit": 101, "colour": "red"}),
    "listOrders 401 expired": lambda w: Api(w.order.url, w.system.mint(iat=1000, exp=2000)).get("/orders"),
    "getOrder 200 new": lambda w: w.order.get(f"/orders/{w.order.created()}"),
    "getOrder 304": lambda w: w.order.get(f"/orders/{w.order_id}", headers={"If-None-Match": "*"}),
    "cancelOrder 200 accepted": lambda w: cancel_decided(w, False),
    "cancelOrder 200 refused": lambda w: cancel_decided(w, True),
    "cancelOrder 202": lambda w: cancel(w, w.order.created(), **example("CancelRequest")),
    "cancelOrder 400": lambda w: cancel(w, w.order_id, reason="", colour="red"),
    "cancelOrder 404": lambda w: cancel(w, uuid.uuid4()),
    "cancelOrder 409": lambda w: cancel(w, w.order_id),
    "cancelOrder 413": lambda w: too_large(w.order, f"/orders/{w.order_id}/cancel", 4096),
    "cancelOrder 415": lambda w: w.order.post(f"/orders/{w.order_id}/cancel", b"{}", headers={"Content-Type": "text/plain"}),
    "getOrderEvents 400": lambda w: w.order.get(f"/orders/{w.order_id}/events", params={"after": "x"}),
    "getOrderEvents 404": lambda w: w.order.get(f"/orders/{uuid.uuid4()}/events"),
    "getOrderEvents 410": lambda w: read_expired(w, f"/orders/{w.order_id}/events"),
    "getEvents 200 now": lambda w: w.order.get("/events", params={"after": "now", "wait": 1}),
    "getEvents 400": lambda w: w.order.get("/events", params={"types": "order.lost", "wait": 21}),
    "getEvents 410": lambda w: read_expired(w, "/events"),
    "getOrder 400": lambda w: w.order.get(f"/orders/{w.order_id}", headers={"Consistency-Token": "x"}),
    "getOrder 404": lambda w: w.order.get(f"/orders/{uuid.uuid4()}"),
    "getShipment 404": lambda w: w.delivery.get(f"/delivery/shipment/{uuid.uuid4()}"),
    "getShipmentEvents 404": lambda w: w.delivery.get(f"/delivery/shipment/{uuid.uuid4()}/events"),
    "changeShipmentStatus 400": lambda w: move(w, status="LOST", colour="red"),
    "changeShipmentStatus 404": lambda w: w.delivery.move(uuid.uuid4(), "SHIPPED"),
    "changeShipmentStatus 409": lambda w: move(w, status="PROCESSING"),
    "changeShipmentStatus 413": lambda w: too_large(w.delivery, f"/delivery/shipment/{w.shipment_id}/status", 4096),
    "changeShipmentStatus 415": lambda w: w.delivery.post(f"/delivery/shipment/{w.shipment_id}/status", b"{}",
                                                          headers={"Content-Type": "text/plain"}),
    "createWebhook 201": new_webhook,
    "createWebhook 400": lambda w: w.order.post("/webhooks", {"url": "http://10.0.0.1/", "colour": "red"}),
    "createWebhook 409": one_webhook_too_many,
    "createWebhook 413": lambda w: too_large(w.order, "/webhooks", 16384),
    "createWebhook 415": lambda w: w.order.post("/webhooks", b"{}", headers={"Content-Type": "text/plain"}),
    "listWebhooks 400": lambda w: w.order.get("/webhooks", params={"limit": 0}),
    "getWebhook 404": lambda w: w.order.get(f"/webhooks/{uuid.uuid4()}"),
    "changeWebhook 400": lambda w: change_webhook(w, json={"url": "nowhere"}),
    "changeWebhook 404": lambda w: change_webhook(w, uuid.uuid4(), json={}),
    "changeWebhook 413": lambda w: change_webhook(w, data=b" " * 16385, headers={"Content-Type": "application/json"}),
    "changeWebhook 415": lambda w: change_webhook(w, data=b"{}"),
    "deleteWebhook 204": delete_new_webhook,
    "deleteWebhook 404": lambda w: w.order.request("DELETE", f"/webhooks/{uuid.uuid4()}"),
    "rotateWebhook 404": lambda w: w.order.post(f"/webhooks/{uuid.uuid4()}/rotate"),
    "pingWebhook 202": lambda w: w.order.post(f"/webhooks/{w.webhook_id}/ping"),
    "pingWebhook 404": lambda w: w.order.post(f"/webhooks/{uuid.uuid4()}/ping"),
    "listDeliveries 400": lambda w: w.order.get(f"/webhooks/{w.webhook_id}/deliveries", params={"cursor": "x"}),
    "listDeliveries 404": lambda w: w.order.get(f"/webhooks/{uuid.uuid4()}/deliveries"),
    "retryDelivery 202": retry,
    "retryDelivery 404": lambda w: retry(w, uuid.uuid4()),
    "getPage 200": lambda w: w.order.get("/"),
    "getPage 304": lambda w: w.order.get("/", headers={"If-None-Match": "*"}),
    "getPageFile 200": lambda w: w.order.get("/app/main.js"),
    "getPageFile 200 style": lambda w: w.order.get("/app/app.css"),
    "getPageFile 304": lambda w: w.order.get("/app/main.js", headers={"If-None-Match": "*"}),
    "getPageFile 404": lambda w: w.order.get("/app/nothing.js"),
    "getHealth 200 order-svc": lambda w: w.order.get("/health"),
    "getHealth 200 delivery-svc": lambda w: w.delivery.get("/health"),
    "getLiveness 200 order-svc": lambda w: w.order.get("/health/live"),
    "getLiveness 200 delivery-svc": lambda w: w.delivery.get("/health/live"),
    "getReadiness 200 order-svc": lambda w: w.order.get("/health/ready"),
    "getReadiness 200 delivery-svc": lambda w: w.delivery.get("/health/ready"),
    "MethodNotAllowed 405 order-svc": lambda w: w.order.request("DELETE", "/orders"),
    "MethodNotAllowed 405 delivery-svc": lambda w: w.delivery.post(f"/delivery/shipment/{w.order_id}"),
    "NotFound 404 order-svc": lambda w: w.order.get("/nowhere"),
    "NotFound 404 delivery-svc": lambda w: w.delivery.get("/delivery"),
}
NO_DATABASE = {f"{operation} 503": send for operation, send in GOOD.items()} | {
    "issueToken 503": HEALTHY["issueToken 200 form"],
    "revokeToken 503": HEALTHY["revokeToken 200 unknown"],
    "introspectToken 503": HEALTHY["introspectToken 401"],
    "getKeys 200 too": HEALTHY["getKeys 200"],
    "getMetadata 200": lambda w: w.order.get("/.well-known/oauth-authorization-server"),
    "getPage 404": HEALTHY["getPage 200"],
    "getHealth 503 order-svc": HEALTHY["getHealth 200 order-svc"],
    "getHealth 503 delivery-svc": HEALTHY["getHealth 200 delivery-svc"],
    "getReadiness 503 order-svc": HEALTHY["getReadiness 200 order-svc"],
    "getReadiness 503 delivery-svc": HEALTHY["getReadiness 200 delivery-svc"],
}
LIMITED = {f"{operation} 429": send for operation, send in GOOD.items()} | {
    "issueToken 429": HEALTHY["issueToken 200 form"],
    "introspectToken 429": HEALTHY["introspectToken 401"],
    "revokeToken 429": HEALTHY["revokeToken 200 unknown"],
}


@contextlib.contextmanager
def world(parts, **settings):
    """Both daemons, which are alive but need not be ready, and a client of each that may do everything."""
    with System(parts, CARRIER_SIMULATION="false", DB_LOCK_TIMEOUT="200ms", **settings) as system:
        for daemon in [system.order_svc(), system.delivery_svc()]:
            daemon.launch()
        for daemon in system.daemons:
            eventually(daemon.is_live)
        scopes = DOCUMENT["components"]["securitySchemes"]["accessToken"]["flows"]["clientCredentials"]["scopes"]
        token = system.mint(scope=" ".join(scopes), secret=system.settings["JWT_SECRET"])
        yield types.SimpleNamespace(system=system, order=Api(system.order.url, token),
                                    delivery=Api(system.delivery.url, token),
                                    order_id=uuid.uuid4(), shipment_id=uuid.uuid4(),
                                    webhook_id=uuid.uuid4(), webhook_delivery_id=uuid.uuid4())


PRODUCTION = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false",
              "JWT_SECRET": "a-secret-of-production-that-is-long-enough"}


@contextlib.contextmanager
def ready_world(parts):
    with world(parts) as w:
        for daemon in w.system.daemons:
            eventually(daemon.is_ready)
        yield w


@pytest.fixture(scope="module")
def healthy(parts):
    """With an order, and another that is shipped."""
    with ready_world(parts) as w:
        w.order.created()
        w.webhook_id = new_webhook(w).json()["id"]
        w.webhook_delivery_id = w.order.post(f"/webhooks/{w.webhook_id}/ping").json()["delivery_id"]
        w.order_id = w.order.created(basket("customer-demo-001"))
        w.shipment_id = eventually(lambda: w.delivery.shipment(w.order_id))["id"]
        assert move(w, **example("StatusChange")).status_code == 200
        eventually(lambda: w.order.order(w.order_id)["status"] == "SHIPPED")
        yield w


@pytest.fixture(scope="module")
def broken(parts):
    """Tables that fit no query."""
    with ready_world(parts) as w:
        w.system.query("ALTER TABLE orders ALTER client_id TYPE integer USING 0, ALTER created_at TYPE text")
        w.system.query("ALTER TABLE order_events ALTER occurred_at TYPE text")
        w.system.query("ALTER TABLE revocation_outbox ALTER payload TYPE integer USING 0")
        w.system.query("ALTER TABLE webhooks ALTER client_id TYPE integer USING 0")
        w.system.query("ALTER TABLE delivery_corrections DROP CONSTRAINT delivery_corrections_order_id_fkey")
        w.system.query("ALTER TABLE delivery_events DROP CONSTRAINT delivery_events_order_id_fkey")
        w.system.query("ALTER TABLE shipments ALTER order_id TYPE text, ALTER created_at TYPE text")
        yield w


@pytest.fixture(scope="module")
def no_database(parts):
    with world(parts, **PRODUCTION, DB_NAME="nowhere", JWT_ISSUER="https://orders.example.com/shop") as w:
        yield w


@pytest.fixture(scope="module")
def limited(parts):
    with world(parts, RATE_LIMIT_ADDRESS="1") as w:
        yield w


@pytest.mark.parametrize("case", HEALTHY)
def test_answer_is_documented(healthy, case):
    operation, status = case.split()[:2]
    assert_documented(HEALTHY[case](healthy), operation, int(status))


@pytest.mark.parametrize("operation", GOOD)
@pytest.mark.parametrize("token, scope, status", [("a.b.c", None, 401), (None, "", 403)])
def test_refusal_is_documented(healthy, operation, token, scope, status):
    token = token or healthy.system.mint(scope=scope)
    stranger = types.SimpleNamespace(**vars(healthy) | {"order": Api(healthy.order.url, token),
                                                        "delivery": Api(healthy.delivery.url, token)})
    assert_documented(GOOD[operation](stranger), operation, status)


@pytest.mark.parametrize("operation", FAILING)
def test_failure_is_documented(broken, operation):
    assert_documented(FAILING[operation](broken), operation, 500)


@pytest.mark.parametrize("case", NO_DATABASE)
def test_absence_of_the_database_is_documented(no_database, case):
    operation, status = case.split()[:2]
    assert_documented(NO_DATABASE[case](no_database), operation, int(status))


@pytest.mark.parametrize("case", LIMITED)
def test_refusal_of_too_many_is_documented(limited, case):
    def refused():
        return [answer for answer in at_once([lambda: LIMITED[case](limited)] * 5) if answer.status_code == 429]

    assert_documented(eventually(refused)[0], case.split()[0], 429)


def test_every_documented_answer_is_tried():
    tried = {tuple(case.split()[:2]) for case in HEALTHY | NO_DATABASE | LIMITED}
    tried |= {(operation, status) for operation in GOOD for status in ("401", "403")}
    tried |= {(operation, "500") for operation in FAILING}
    promised = {(operation["operationId"], status) for *_, operation in operations()
                for status in operation["responses"]}
    assert promised == tried - {("MethodNotAllowed", "405"), ("NotFound", "404")}
