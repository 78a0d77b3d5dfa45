"""Revocation: a token that its client revokes is good for nothing, in every replica, whatever restarts."""

import json
import time
import uuid

import authlib.integrations.requests_client
import pytest
from harness import PATIENCE, Api, PrivateParts, System, assert_problem, eventually, http

ADMIN = ("demo-admin", "demo-admin-secret")
CLIENT = ("demo-client", "demo-secret")
NOWHERE = "0190a5b4-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def parts():
    private = PrivateParts()
    yield private
    private.close()


@pytest.fixture(scope="module")
def system(parts):
    """Two replicas of each daemon."""
    with System(parts, CARRIER_SIMULATION="false") as both:
        both.start()
        both.order_svc().start()
        both.delivery_svc().start()
        yield both


def token_of(system, client=ADMIN):
    return http("POST", f"{system.order.url}/auth/token", auth=client,
                data={"grant_type": "client_credentials"}).json()["access_token"]


def revoke(system, token, client=ADMIN, **options):
    return http("POST", f"{system.order.url}/auth/revoke", **({"auth": client} | (options or {"data": {"token": token}})))


def status(daemon, token):
    path = "/orders" if "order-svc" in daemon.program else f"/delivery/shipment/{NOWHERE}"
    return Api(daemon.url, token).get(path).status_code


def statuses(system, token):
    return {status(daemon, token) for daemon in system.daemons}


def is_good(system, token):
    return statuses(system, token) == {200, 404}


def is_revoked(system, token):
    return statuses(system, token) == {401}


def introspect(system, token):
    return http("POST", f"{system.order.url}/auth/introspect", auth=ADMIN, data={"token": token}).json()


def test_revoked_token_is_refused_everywhere(system):
    token, other = token_of(system), token_of(system)
    assert is_good(system, token) and introspect(system, token)["active"] is True
    answer = revoke(system, token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert status(system.order, token) == 401, "at once where it was revoked"
    assert introspect(system, token) == {"active": False}
    eventually(lambda: is_revoked(system, token))
    for daemon, path in ((system.order, "/orders"), (system.delivery, f"/delivery/shipment/{NOWHERE}")):
        refused = Api(daemon.url, token).get(path)
        assert_problem(refused, 401, "INVALID_TOKEN")
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    assert revoke(system, token).status_code == 200, "again"
    assert is_good(system, other)


def test_revocation_that_the_database_has_lost_is_written_again(parts):
    """As after a failover to a standby that lagged. The daemon itself still knows of it."""
    with System(parts) as system:
        system.order_svc().start()
        token = token_of(system)
        for _ in range(2):
            assert revoke(system, token).status_code == 200
            assert system.query("DELETE FROM revoked_tokens RETURNING client_id") == [(ADMIN[0],)]


def test_revocation_outlives_every_restart(parts, system):
    token = token_of(system)
    assert revoke(system, token).status_code == 200
    eventually(lambda: is_revoked(system, token))
    system.redis.flushall()
    assert is_revoked(system, token)
    parts.kill("redis")
    assert is_revoked(system, token)
    parts.start("redis")
    assert is_revoked(system, token)
    for daemon in system.daemons:
        daemon.kill()
    for daemon in system.daemons:
        daemon.start()
    assert is_revoked(system, token)
    assert is_good(system, token_of(system))


@pytest.mark.parametrize("name, client, options, expected", [
    ("unknown", ADMIN, {"data": {"token": "a.b.c"}}, (200, None)),
    ("hinted", ADMIN, {"data": {"token": "a.b.c", "token_type_hint": "refresh_token"}}, (200, None)),
    ("in JSON", ADMIN, {"json": {"token": "a.b.c"}}, (200, None)),
    ("by the body", None, {"data": {"token": "x", "client_id": ADMIN[0], "client_secret": ADMIN[1]}}, (200, None)),
    ("of nobody", None, {"data": {"token": "a.b.c"}}, (401, "invalid_client")),
    ("with a wrong secret", ("demo-admin", "wrong"), {"data": {"token": "a.b.c"}}, (401, "invalid_client")),
    ("of nothing", ADMIN, {"data": {}}, (400, "invalid_request")),
])
def test_revocation_is_answered_as_the_standard_says(system, name, client, options, expected):
    answer = revoke(system, None, client, **options)
    assert (answer.status_code, answer.json()["error"] if answer.content else None) == expected


def test_token_of_another_client_stays(system):
    token = token_of(system)
    refused = revoke(system, token, CLIENT)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert revoke(system, token, ("demo-admin", "wrong")).status_code == 401
    assert_problem(http("GET", f"{system.order.url}/auth/revoke", params={"token": token}), 405, "METHOD_NOT_ALLOWED")
    assert is_good(system, token)


def test_independent_client_revokes_and_introspects(system, monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # plain HTTP, to 127.0.0.1 only
    with authlib.integrations.requests_client.OAuth2Session(*ADMIN, default_timeout=PATIENCE) as session:
        session.trust_env = False
        token = session.fetch_token(f"{system.order.url}/auth/token", grant_type="client_credentials")["access_token"]
        told = session.introspect_token(f"{system.order.url}/auth/introspect", token=token).json()
        assert (told["active"], told["client_id"]) == (True, "demo-admin")
        answer = session.revoke_token(f"{system.order.url}/auth/revoke", token=token, token_type_hint="access_token")
        assert answer.status_code == 200
        assert session.introspect_token(f"{system.order.url}/auth/introspect", token=token).json() == {"active": False}


def row(connection, token_id, **expiry):
    connection.execute("INSERT INTO revoked_tokens (token_id, expires_at) VALUES (%s, now() + %s::interval)",
                       (token_id, expiry.get("expires", "1 hour")))


def test_late_commit_is_not_overlooked(system):
    """A transaction that began first and ends last."""
    late, early = str(uuid.uuid4()), str(uuid.uuid4())
    tokens = {token_id: system.mint(jti=token_id) for token_id in (late, early)}
    with system.parts.connect(system.name) as slow, system.parts.connect(system.name) as quick:
        with slow.transaction():
            row(slow, late)
            row(quick, early)
            eventually(lambda: status(system.order, tokens[early]) == 401)
            assert status(system.order, tokens[late]) == 200
        eventually(lambda: status(system.order, tokens[late]) == 401)


def test_numbers_of_transactions_that_are_given_again_hide_nothing(system):
    """A server that crashes gives those again of which nothing is on its disk. A pooler hides that the connection was lost."""
    before, after = str(uuid.uuid4()), str(uuid.uuid4())
    tokens = {token_id: system.mint(jti=token_id) for token_id in (before, after)}
    with system.parts.connect(system.name) as session:
        numbers = [int(session.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) for _ in range(50)]
        for token_id, number in zip((before, after), numbers):
            session.execute("INSERT INTO revoked_tokens (token_id, expires_at, written_by)"
                            " VALUES (%s, now() + interval '1 hour', %s::text::xid8)", (token_id, number))
            eventually(lambda token=tokens[token_id]: status(system.order, token) == 401)


def test_expired_revocations_are_deleted(system):
    with system.parts.connect(system.name) as connection:
        row(connection, old := str(uuid.uuid4()), expires="-1 second")
        row(connection, new := str(uuid.uuid4()))
    system.order.stop()
    system.order.start()

    def kept(token_id):
        return system.query("SELECT 1 FROM revoked_tokens WHERE token_id = %s", token_id) != []

    eventually(lambda: not kept(old))
    assert kept(new)


def test_without_sqs_order_svc_knows_at_once_and_delivery_svc_later(parts, system):
    token = token_of(system)
    parts.stop("elasticmq")
    try:
        assert revoke(system, token).status_code == 200
        assert status(system.order, token) == 401
        assert status(system.delivery, token) == 404
    finally:
        parts.start("elasticmq")
    eventually(lambda: is_revoked(system, token))


def test_poison_is_a_dead_letter_and_stops_nobody(system):
    system.send("REVOCATIONS_QUEUE", "poison")
    token = token_of(system)
    assert revoke(system, token).status_code == 200
    eventually(lambda: is_revoked(system, token))
    assert [message["Body"] for message in system.receive("REVOCATIONS_DLQ", 1)] == ["poison"]


def test_event_is_what_the_documents_say(parts):
    with System(parts) as system:
        system.order_svc().start()
        token = token_of(system)
        told = introspect(system, token)
        assert revoke(system, None, data={"token": token}, headers={"X-Request-Id": "r-1"}).status_code == 200
        eventually(lambda: system.has_queue("REVOCATIONS_QUEUE"))
        message, = system.receive("REVOCATIONS_QUEUE", 1)
        event = json.loads(message["Body"])
        assert event.keys() == {"eventType", "eventId", "tokenId", "expiresAt", "clientId", "issuedAt", "timestamp"}
        assert (event["clientId"], event["issuedAt"] // 1000) == (told["client_id"], told["iat"])
        assert (event["eventType"], event["tokenId"], event["expiresAt"]) == ("TOKEN_REVOKED", told["jti"], told["exp"])
        assert message["Attributes"]["MessageGroupId"] == event["tokenId"]
        assert message["MessageAttributes"]["correlationId"]["StringValue"] == "r-1"
        assert event["expiresAt"] > time.time()
