"""Production from an empty database on: migrations by hand, clients by the command line, nobody else let in."""

import hashlib
import pathlib
import re

import pytest
from harness import Api, System, assert_problem, eventually, http

CLOSED = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false",
          "JWT_SECRET": "a-secret-of-production-that-is-long-enough"}


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, **CLOSED) as both:
        for daemon in (both.order_svc(), both.delivery_svc()):
            daemon.launch()
            eventually(lambda: daemon.health("/health/ready") == 503)
            eventually(lambda: http("GET", f"{daemon.url}/health/ready").json()["reason"] == "migrations")
            assert daemon.command("--migrate").returncode == 0
            eventually(daemon.is_ready)
            assert daemon.command("--migrate").returncode == 0, "twice does no harm"
        yield both


def client_command(system, *words):
    return system.order.command("client", *words)


def add(system, name, *scopes):
    """The secret of a new client."""
    done = client_command(system, "add", name, *scopes)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("client_secret: ")[1].strip()


def ask(system, name, secret):
    return http("POST", f"{system.order.url}/auth/token", auth=(name, secret), data={"grant_type": "client_credentials"})


def api(system, daemon, name, secret):
    token = eventually(lambda: (answer := ask(system, name, secret)).status_code == 200 and answer.json())
    return Api(daemon.url, token["access_token"])


def test_order_is_delivered_between_two_registered_clients(system):
    shop = api(system, system.order, "shop", add(system, "shop", "order:create", "order:read"))
    courier = api(system, system.delivery, "courier", add(system, "courier", "delivery:read", "delivery:read:all"))
    order_id = shop.created()
    eventually(lambda: shop.order(order_id)["status"] == "DELIVERED")
    assert courier.shipment(order_id)["status"] == "DELIVERED"
    assert_problem(Api(system.delivery.url, shop.token).get(f"/delivery/shipment/{order_id}"), 403, "FORBIDDEN")
    assert_problem(Api(system.order.url, courier.token).get(f"/orders/{order_id}"), 403, "FORBIDDEN")


def test_threads_are_named_in_top_and_gdb(system):
    def names(daemon):
        return {path.read_text().strip() for path in pathlib.Path(f"/proc/{daemon.process.pid}/task").glob("*/comm")}

    both = {"MHD-worker", "worker", "relay", "consumer", "health", "signals", "log-writer", "linger", "ticker"}
    assert names(system.delivery) >= both
    assert names(system.order) >= both | {"feed", "webhooks"}


def test_demo_clients_are_unknown(system):
    for name in ("demo-client", "test-client", "order-app", "demo-delivery", "demo-admin"):
        secret = f"{name}-secret" if name in ("demo-delivery", "demo-admin") else "demo-secret"
        assert ask(system, name, secret).status_code == 401


def test_new_secret_replaces_the_old_one(system):
    old = add(system, "rotated", "order:read")
    api(system, system.order, "rotated", old)
    new = client_command(system, "rotate", "rotated").stdout.split("client_secret: ")[1].strip()
    assert new != old
    api(system, system.order, "rotated", new)
    assert client_command(system, "retire", "rotated").returncode == 0
    eventually(lambda: ask(system, "rotated", old).status_code == 401)


def test_disabled_client_gets_no_token(system):
    secret = add(system, "fired", "order:read")
    api(system, system.order, "fired", secret)
    assert client_command(system, "disable", "fired").returncode == 0
    eventually(lambda: ask(system, "fired", secret).status_code == 401)


def test_clients_are_listed_without_their_secrets(system):
    secret = add(system, "listed", "order:read", "order:create")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret), "256 bits"
    line, = [line for line in client_command(system, "list").stdout.splitlines() if line.startswith("listed\t")]
    assert "order:create" in line and "order:read" in line
    assert secret not in client_command(system, "list").stdout
    kept, = system.query("SELECT secret_hash FROM clients WHERE client_id = 'listed'")
    assert kept == (hashlib.sha256(secret.encode()).digest(),)


@pytest.mark.parametrize("words", [(), ("add",), ("add", "x"), ("add", "x", "order:fly"), ("add", "a b", "order:read"),
                                   ("rotate", "nobody"), ("disable", "nobody"), ("colour",)])
def test_wrong_client_command_is_refused_with_words(system, words):
    done = client_command(system, *words)
    assert done.returncode != 0 and done.stderr


def test_client_is_added_once(system):
    add(system, "once", "order:read")
    again = client_command(system, "add", "once", "order:read")
    assert again.returncode == 1 and "once" in again.stderr


def test_client_is_told_of_its_own_tokens(system):
    shop = api(system, system.order, "told", add(system, "told", "order:read"))
    other = ("curious", add(system, "curious", "order:read"))
    reader = ("reader", add(system, "reader", "token:introspect"))
    url, question = f"{system.order.url}/auth/introspect", {"token": shop.token}
    for name, secret in (other, reader):
        api(system, system.order, name, secret)
    assert http("POST", url, data=question, auth=other).json() == {"active": False}
    assert http("POST", url, data=question, auth=reader).json()["client_id"] == "told"
    bearer = {"Authorization": f"Bearer {api(system, system.order, *other).token}"}
    assert http("POST", url, data=question, headers=bearer).json() == {"active": False}
    bearer = {"Authorization": f"Bearer {shop.token}"}
    assert http("POST", url, data=question, headers=bearer).json()["active"] is True
    refused = http("POST", url, data=question, headers={"Authorization": "Bearer x"})
    assert_problem(refused, 401, "INVALID_TOKEN")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_introspection_needs_a_client(system):
    secret = add(system, "inspector", "order:read")
    token = api(system, system.order, "inspector", secret).token
    url = f"{system.order.url}/auth/introspect"
    for credentials in ({}, {"auth": ("inspector", "wrong")}):
        refused = http("POST", url, data={"token": token}, **credentials)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    told = http("POST", url, data={"token": token}, auth=("inspector", secret)).json()
    assert (told["active"], told["client_id"], told["scope"]) == (True, "inspector", "order:read")
    in_body = {"token": token, "client_id": "inspector", "client_secret": secret}
    assert http("POST", url, data=in_body).json() == told
    assert http("POST", url, data={"token": "x"}, auth=("inspector", secret)).json() == {"active": False}
