"""Tokens: readable by another implementation, forgeable by none; OAuth errors; introspection; real OAuth clients."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from harness import SECRET, Api, System, assert_problem, http
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

GRANT = {"grant_type": "client_credentials"}
DEMO = {"client_id": "demo-client", "client_secret": "demo-secret"}


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as one:
        one.order_svc().start()
        yield one


@pytest.fixture(scope="module")
def token(system):
    return ask(system, data=GRANT | DEMO).json()["access_token"]


def ask(system, **request):
    response = http("POST", f"{system.order.url}/auth/token", **request)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.headers["Content-Type"].startswith("application/json")
    return response


def basic(client_id, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


# What a token is

def test_another_implementation_verifies_the_token(token):
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="order-api", issuer="order-processing-system",
                        options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"]})
    assert claims["sub"] == claims["client_id"] == "demo-client"
    assert claims["scope"] == "order:create order:read"
    assert claims["exp"] - claims["iat"] == 86400
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}


def test_every_token_has_an_id_of_its_own(system, token):
    other = ask(system, data=GRANT | DEMO).json()["access_token"]
    ids = {jwt.decode(t, options={"verify_signature": False})["jti"] for t in (token, other)}
    assert len(ids) == 2


def encode(part):
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(header=None, claims=None, key=SECRET, digest=hashlib.sha256):
    """A token made by hand: good, except for what is given."""
    now = int(time.time())
    good = {"iss": "order-processing-system", "aud": "order-api", "sub": "demo-client", "client_id": "demo-client",
            "scope": "order:create order:read", "iat": now, "exp": now + 600,
            "jti": "0190a5b4-0000-7000-8000-000000000000"}
    if not isinstance(claims, bytes):
        claims = {name: value for name, value in (good | (claims or {})).items() if value is not None}
    head = {"alg": "HS256", "typ": "at+jwt"} | (header or {})
    signed = f"{encode({k: v for k, v in head.items() if v is not None})}.{encode(claims)}"
    return f"{signed}.{encode(hmac.new(key.encode(), signed.encode(), digest).digest())}"


def test_forge_makes_good_tokens_unless_told(system):
    assert Api(system.order.url, forge()).get("/orders").status_code == 200


FAR = 2 ** 31
FOREIGN = {
    "alg none": lambda: forge({"alg": "none"}), "alg None": lambda: forge({"alg": "None"}),
    "alg NONE": lambda: forge({"alg": "NONE"}),
    "alg none without a signature": lambda: forge({"alg": "none"}).rsplit(".", 1)[0] + ".",
    "no signature": lambda: forge().rsplit(".", 1)[0] + ".",
    "alg RS256": lambda: forge({"alg": "RS256"}),
    "ES256 with a key of one's own": lambda: jwt.encode({"sub": "x"}, ec.generate_private_key(ec.SECP256R1()), "ES256",
                                                        {"typ": "at+jwt"}),
    "no alg": lambda: forge({"alg": None}),
    "HS384": lambda: forge({"alg": "HS384"}, digest=hashlib.sha384),
    "HS512": lambda: forge({"alg": "HS512"}, digest=hashlib.sha512),
    "another secret": lambda: forge(key="x" * 32), "an empty key": lambda: forge(key=""),
    "a kid that is a path, another key": lambda: forge({"kid": "../../dev/null"}, key=""),
    "a kid that is SQL, another key": lambda: forge({"kid": "' OR 1=1 --"}, key="x"),
    "no typ": lambda: forge({"typ": None}), "typ JWT": lambda: forge({"typ": "JWT"}),
    "wrong issuer": lambda: forge(claims={"iss": "elsewhere"}), "no issuer": lambda: forge(claims={"iss": None}),
    "wrong audience": lambda: forge(claims={"aud": "elsewhere"}), "no audience": lambda: forge(claims={"aud": None}),
    "wrong audiences": lambda: forge(claims={"aud": ["a", "b"]}),
    "no exp": lambda: forge(claims={"exp": None}), "exp a string": lambda: forge(claims={"exp": str(FAR)}),
    "exp a fraction": lambda: forge(claims={"exp": FAR + 0.5}),
    "exp beyond 63 bits": lambda: forge(claims={"exp": 2 ** 63}), "exp negative": lambda: forge(claims={"exp": -1}),
    "nbf in the future": lambda: forge(claims={"nbf": FAR}), "no subject": lambda: forge(claims={"sub": None}),
    "no client": lambda: forge(claims={"client_id": None}), "scope a number": lambda: forge(claims={"scope": 1}),
    "duplicate members": lambda: forge(claims=b'{"sub":"a","sub":"b"}'),
    "an id that is none": lambda: forge(claims={"jti": "1"}), "claims no JSON": lambda: forge(claims=b"{"),
    "claims an array": lambda: forge(claims=b"[]"), "four segments": lambda: forge() + ".x",
    "two segments": lambda: forge().rsplit(".", 1)[0], "trailing dots": lambda: forge() + "..",
    "padded": lambda: forge() + "=", "one letter changed": lambda: forge()[:-9] + "AAAAAAAAA",
    "a long one": lambda: forge(claims={"jti": "x" * 5000}), "nothing but dots": lambda: "..",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_token_is_refused(system, name):
    foreign = FOREIGN[name]()
    response = Api(system.order.url, foreign).get("/orders")
    assert response.status_code == 401
    assert response.json()["error"] in ("INVALID_TOKEN", "TOKEN_EXPIRED")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert introspect(system, foreign) == {"active": False}


def test_expired_token_is_told_apart(system):
    expired = forge(claims={"exp": int(time.time()) - 1})
    assert_problem(Api(system.order.url, expired).get("/orders"), 401, "TOKEN_EXPIRED")
    assert introspect(system, expired) == {"active": False}


def test_token_counts_in_the_header_only(system, token):
    assert_problem(Api(system.order.url).get(f"/orders?access_token={token}"), 401, "UNAUTHORIZED")


# Introspection

def introspect(system, token, **options):
    response = http("POST", f"{system.order.url}/auth/introspect", **(options or {"json": {"token": token}}))
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("kind", ["json", "data"])
def test_introspection_tells_what_the_token_says(system, token, kind):
    told = introspect(system, token, **{kind: {"token": token, "token_type_hint": "access_token"}})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert told["active"] is True
    for name in ("client_id", "sub", "scope", "exp", "iat", "iss", "aud", "jti"):
        assert told[name] == claims[name], name
    assert told["token_type"] == "Bearer"


def test_introspection_without_a_token_is_invalid_request(system):
    response = http("POST", f"{system.order.url}/auth/introspect", data={})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


# Errors of the token endpoint, RFC 6749 §5.2

BAD = {
    "no grant type": (400, "invalid_request", {"data": DEMO}),
    "empty grant type": (400, "invalid_request", {"data": DEMO | {"grant_type": ""}}),
    "another grant type": (400, "unsupported_grant_type", {"data": DEMO | {"grant_type": "password"}}),
    "wrong secret": (401, "invalid_client", {"data": GRANT | DEMO | {"client_secret": "wrong"}}),
    "wrong secret as JSON": (401, "invalid_client", {"json": GRANT | DEMO | {"client_secret": "wrong"}}),
    "unknown client": (401, "invalid_client", {"data": GRANT | {"client_id": "x", "client_secret": "demo-secret"}}),
    "no client": (401, "invalid_client", {"data": GRANT}),
    "wrong secret by Basic": (401, "invalid_client", {"data": GRANT, "headers": basic("demo-client", "wrong")}),
    "Basic and body": (400, "invalid_request", {"data": GRANT | DEMO, "headers": basic("demo-client", "demo-secret")}),
    "parameter twice": (400, "invalid_request", {"data": [*(GRANT | DEMO).items(), ("grant_type", "client_credentials")]}),
    "unknown scope": (400, "invalid_scope", {"data": GRANT | DEMO | {"scope": "order:fly"}}),
    "scope of others": (400, "invalid_scope", {"data": GRANT | DEMO | {"scope": "order:read order:read:all"}}),
    "malformed JSON": (400, "invalid_request", {"data": "{", "headers": {"Content-Type": "application/json"}}),
    "JSON with numbers": (400, "invalid_request", {"json": GRANT | {"client_id": 1, "client_secret": 2}}),
    "another content type": (400, "invalid_request", {"data": "x", "headers": {"Content-Type": "text/plain"}}),
    "no body": (400, "invalid_request", {}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_token_request_is_refused_with_its_error(system, name):
    status, error, request = BAD[name]
    response = ask(system, **request)
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert set(response.json()) <= {"error", "error_description", "error_uri"}
    assert all(c.isascii() and c.isprintable() and c not in '"\\' for c in response.json().get("error_description", ""))
    if "by Basic" in name:
        assert response.headers["WWW-Authenticate"].startswith('Basic realm="')


def test_credentials_in_the_uri_do_not_count(system):
    response = http("POST", f"{system.order.url}/auth/token", params=GRANT | DEMO, data={})
    assert response.status_code in (400, 401)


def test_scope_may_be_narrowed_and_then_holds(system):
    given = ask(system, data=GRANT | DEMO | {"scope": "order:read"}).json()
    assert given["scope"] == "order:read"
    api = Api(system.order.url, given["access_token"])
    assert api.get("/orders").status_code == 200
    assert_problem(api.create(), 403, "FORBIDDEN")


def test_unknown_and_empty_parameters_are_ignored(system):
    assert ask(system, data=GRANT | DEMO | {"scope": "", "colour": "red"}).status_code == 200


# Clients of the outside

@pytest.mark.parametrize("in_body", [False, True])
def test_requests_oauthlib_gets_a_token_and_orders(system, monkeypatch, in_body):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # plain HTTP, to 127.0.0.1 only
    with OAuth2Session(client=BackendApplicationClient("demo-client", scope=["order:read"])) as session:
        session.trust_env = False
        session.fetch_token(f"{system.order.url}/auth/token", client_id="demo-client", client_secret="demo-secret",
                            include_client_id=in_body or None,
                            auth=None if in_body else ("demo-client", "demo-secret"))
        assert session.get(f"{system.order.url}/orders").status_code == 200
