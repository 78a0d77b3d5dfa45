"""The tokens of a client as a whole: disabled, rotated or deleted, it has none left, in every replica of either daemon."""

import json
import pathlib
import time
import uuid

import jwt
import pytest
from harness import Api, System, at_once, eventually, http

NOWHERE = "0190a5b4-0000-7000-8000-000000000000"
SCOPES = ("order:read", "delivery:read")
SHARE, MOST = 4096, 262144  # revoked tokens of one client, of all


@pytest.fixture(scope="module")
def system(parts):
    """Two replicas of each daemon."""
    with System(parts, CARRIER_SIMULATION="false", RECONCILE_AFTER="2s", DB_STATEMENT_TIMEOUT="60s") as both:
        both.start()
        both.order_svc().start()
        both.delivery_svc().start()
        yield both


def command(system, *words):
    done = system.order.command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("client_secret: ")[2].strip()


def ask(system, name, secret, daemon=None):
    return http("POST", f"{(daemon or system.order).url}/auth/token", auth=(name, secret),
                data={"grant_type": "client_credentials"})


def token_of(system, name, secret, daemon=None):
    """A token, once the replica knows the secret."""
    answer = eventually(lambda: (got := ask(system, name, secret, daemon)).status_code == 200 and got)
    return answer.json()["access_token"]


def refuses(system, name, secret):
    """Whether every replica refuses the secret."""
    replicas = [daemon for daemon in system.daemons if "order-svc" in daemon.program]
    return {ask(system, name, secret, daemon).status_code for daemon in replicas} == {401}


def statuses(system, token):
    paths = {"order-svc": "/orders", "delivery-svc": f"/delivery/shipment/{NOWHERE}"}
    return [Api(daemon.url, token).get(paths[pathlib.Path(daemon.program).name]).status_code for daemon in system.daemons]


def is_good(system, token):
    return statuses(system, token) == [200, 404, 200, 404]


def is_void(system, token):
    return statuses(system, token) == [401] * 4


def tokens_until_refused(system, name, secret, daemon):
    """The last tokens of a client: some are issued by a replica that has not heard of the end yet."""
    tokens = []
    while (answer := ask(system, name, secret, daemon)).status_code == 200:
        tokens.append(answer.json()["access_token"])
    assert answer.status_code == 401
    return tokens[-20:]


@pytest.fixture
def client(system):
    """The name, the secret and a token of a new client."""
    name = f"client-{uuid.uuid4()}"
    secret = command(system, "client", "add", name, *SCOPES)
    token = token_of(system, name, secret)
    assert is_good(system, token)
    return name, secret, token


def test_disabled_client_has_no_token_left(system, client):
    name, secret, token = client
    until_refused = [lambda daemon=daemon: tokens_until_refused(system, name, secret, daemon)
                     for daemon in system.daemons if "order-svc" in daemon.program]
    *tokens, _ = at_once([*until_refused, lambda: command(system, "client", "disable", name)])
    for one in (token, *tokens[0], *tokens[1]):
        eventually(lambda one=one: is_void(system, one))


def test_enabled_client_gets_good_tokens_at_once(system, client):
    name, secret, token = client
    command(system, "client", "disable", name)
    eventually(lambda: refuses(system, name, secret))
    command(system, "client", "enable", name)
    assert is_good(system, token_of(system, name, secret))
    assert is_void(system, token)


def test_rotation_keeps_the_old_secret_until_it_is_retired(system, client):
    name, old, token = client
    new = command(system, "client", "rotate", name)
    assert is_good(system, token_of(system, name, new))
    assert ask(system, name, old).status_code == 200
    command(system, "client", "retire", name)
    eventually(lambda: refuses(system, name, old))
    assert ask(system, name, new).status_code == 200
    assert is_good(system, token)


def test_grace_of_a_rotation_ends(system, client):
    name, old, token = client
    new = command(system, "client", "rotate", name, "--grace", "10s")
    assert ask(system, name, old).status_code == 200
    eventually(lambda: refuses(system, name, old))
    assert is_good(system, token_of(system, name, new))


def test_second_rotation_ends_the_first_secret(system, client):
    name, first, token = client
    second = command(system, "client", "rotate", name)
    third = command(system, "client", "rotate", name)
    token_of(system, name, third)
    eventually(lambda: refuses(system, name, first))
    assert ask(system, name, second).status_code == 200


def test_rotation_now_ends_secret_and_tokens_and_the_next_token_is_good(system, client):
    name, old, token = client
    new = command(system, "client", "rotate", name, "--now")
    fresh = token_of(system, name, new)
    eventually(lambda: is_void(system, token))
    eventually(lambda: refuses(system, name, old))
    assert is_good(system, fresh), "though issued in the same seconds"
    assert jwt.decode(fresh, options={"verify_signature": False})["iat"] <= time.time()


def test_deleted_client_is_gone_and_one_of_that_name_begins_anew(system, client):
    name, secret, token = client
    command(system, "client", "delete", name)
    eventually(lambda: is_void(system, token))
    eventually(lambda: refuses(system, name, secret))
    assert system.order.command("client", "delete", name).returncode == 1
    again = command(system, "client", "add", name, *SCOPES)
    assert is_good(system, token_of(system, name, again))
    assert is_void(system, token)


def test_scope_that_is_given_leaves_tokens_one_that_is_taken_away_ends_them(system, client):
    name, secret, token = client
    command(system, "client", "scope", name, *SCOPES, "order:create")
    eventually(lambda: "order:create" in ask(system, name, secret).json()["scope"])
    assert is_good(system, token)
    command(system, "client", "scope", name, "delivery:read")
    eventually(lambda: is_void(system, token))
    eventually(lambda: ask(system, name, secret).json()["scope"] == "delivery:read")
    assert statuses(system, ask(system, name, secret).json()["access_token"]) == [403, 404, 403, 404]


def test_operator_revokes_one_token(system, client):
    name, secret, token = client
    other = token_of(system, name, secret)
    command(system, "token", "revoke", jwt.decode(token, options={"verify_signature": False})["jti"])
    eventually(lambda: is_void(system, token))
    assert is_good(system, other)


def test_operator_revokes_all_tokens_of_a_client(system, client):
    name, secret, _ = client
    before = [token_of(system, name, secret) for _ in range(5)]
    command(system, "token", "revoke", "--client", name)
    after = token_of(system, name, secret)
    eventually(lambda: all(is_void(system, token) for token in before))
    assert is_good(system, after), "issued in the second of the revocation"


def test_administrator_revokes_tokens_of_others(system, client):
    name, secret, token = client
    admin = f"admin-{uuid.uuid4()}"
    admin = (admin, command(system, "client", "add", admin, "token:revoke"))
    token_of(system, *admin)
    assert http("POST", f"{system.order.url}/auth/revoke", auth=admin, data={"token": token}).status_code == 200
    eventually(lambda: is_void(system, token))


@pytest.mark.parametrize("words", [
    ("token",), ("token", "revoke"), ("token", "revoke", "x"), ("token", "revoke", "--client"),
    ("token", "revoke", "--client", "a b"), ("token", "steal", NOWHERE), ("client", "rotate", "x", "--grace"),
    ("client", "rotate", "x", "--grace", "long"), ("client", "rotate", "x", "--grace", "31d"),
    ("client", "rotate", "x", "--later"), ("client", "scope", "x"), ("client", "scope", "x", "order:fly"),
    ("client", "enable", "nobody"), ("client", "retire", "nobody"), ("client", "scope", "nobody", "order:read")])
def test_wrong_command_is_refused_with_words(system, words):
    done = system.order.command(*words)
    assert done.returncode != 0 and done.stderr


def test_revocations_that_the_queue_lost_are_told_again(parts):
    with System(parts, RECONCILE_AFTER="1s") as system:
        system.order_svc().start()
        tokens = {}
        for name in ("one", "all"):
            tokens[name] = token_of(system, name, command(system, "client", "add", name, *SCOPES))
        command(system, "token", "revoke", jwt.decode(tokens["one"], options={"verify_signature": False})["jti"])
        command(system, "client", "disable", "all")
        eventually(lambda: statuses(system, tokens["one"]) == statuses(system, tokens["all"]) == [401])
        eventually(lambda: system.query("SELECT count(*) FROM revocation_outbox") == [(0,)])
        system.sqs.purge_queue(QueueUrl=system.queue_url("REVOCATIONS_QUEUE"))
        system.delivery_svc().start()
        eventually(lambda: statuses(system, tokens["one"]) == statuses(system, tokens["all"]) == [401, 401])


def test_event_is_what_the_documents_say(parts):
    with System(parts) as system:
        system.order_svc().start()
        command(system, "client", "add", "shop", *SCOPES)
        before = time.time()
        command(system, "client", "disable", "shop")
        eventually(lambda: system.has_queue("REVOCATIONS_QUEUE"))
        message, = system.receive("REVOCATIONS_QUEUE", 1)
        event = json.loads(message["Body"])
        assert event.keys() == {"eventType", "eventId", "clientId", "issuedBefore", "expiresAt", "timestamp"}
        assert (event["eventType"], event["clientId"]) == ("CLIENT_TOKENS_REVOKED", "shop")
        assert before < event["issuedBefore"] / 1000 < before + 60 < event["expiresAt"]
        uuid.UUID(message["Attributes"]["MessageGroupId"])


def revoke(system, token, client):
    return http("POST", f"{system.order.url}/auth/revoke", auth=client, data={"token": token}).status_code


def fill(system, client_id, count):
    """So many revoked tokens, issued one millisecond after the other until ten seconds ago. order-svc has read them."""
    system.query("INSERT INTO revoked_tokens (token_id, expires_at, client_id, issued_at, quiet_since)"
                 " SELECT gen_random_uuid(), now() + interval '1 hour', %s::text,"
                 "        now() - interval '10 s' - n * interval '1 ms', now() + interval '1 day'"
                 " FROM generate_series(1, %s) n", client_id, count)
    marker = str(uuid.uuid4())
    system.query("INSERT INTO revoked_tokens (token_id, expires_at) VALUES (%s, now() + interval '1 hour')", marker)
    last = Api(system.order.url, system.mint("demo-client", "order:read", jti=marker))
    eventually(lambda: last.get("/orders").status_code == 401, what="the last of the revoked tokens")


def test_client_that_revokes_too_much_ends_its_oldest_tokens_only(system, client):
    name, secret, token = client
    now = time.time()
    oldest = system.mint(name, " ".join(SCOPES), iat=int(now) - 60)
    fill(system, name, SHARE)
    assert is_good(system, oldest)
    last = token_of(system, name, secret)
    assert revoke(system, last, (name, secret)) == 200
    eventually(lambda: is_void(system, last))
    eventually(lambda: is_void(system, oldest))
    assert is_good(system, token)
    assert system.query("SELECT count(*) FROM revoked_tokens WHERE client_id = %s", name)[0][0] <= SHARE // 2


def test_nobody_fills_the_memory_for_the_others(system, client):
    name, secret, token = client
    fill(system, None, MOST)
    assert revoke(system, token, (name, secret)) == 200
    eventually(lambda: is_void(system, token))
    assert is_good(system, token_of(system, name, secret))
    assert system.query("SELECT count(*) FROM revoked_tokens WHERE client_id = %s", name) == [(0,)]
    assert system.messages_in("REVOCATIONS_DLQ") == 0
