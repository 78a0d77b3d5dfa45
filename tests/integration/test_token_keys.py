"""Key pairs: order-svc signs, the world verifies; rotation under load; what is no token for them."""

import contextlib
import subprocess
import threading
import time

import authlib.integrations.requests_client
import authlib.oauth2.rfc8414
import joserfc.jwk
import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from harness import PATIENCE, Api, System, assert_problem, eventually, http

GRANT = {"grant_type": "client_credentials", "client_id": "demo-admin", "client_secret": "demo-admin-secret"}
KINDS = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
         "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)}


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Folders:
    """The keys of order-svc, and their public halves for delivery-svc."""

    def __init__(self, root):
        self.order, self.delivery = root / "order", root / "delivery"
        self.order.mkdir()
        self.delivery.mkdir()

    def put(self, name, key):
        (self.order / name).write_bytes(private_pem(key))
        (self.delivery / name).write_bytes(public_pem(key))

    def rename(self, old, new):
        for folder in (self.order, self.delivery):
            (folder / old).rename(folder / new)

    def delete(self, name):
        for folder in (self.order, self.delivery):
            (folder / name).unlink()


@contextlib.contextmanager
def started(parts, folders):
    """Both daemons, with the URL of order-svc as the issuer."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        order = system.order_svc(JWT_KEYS=str(folders.order))
        order.environment["JWT_ISSUER"] = system.settings["JWT_ISSUER"] = order.url
        order.launch()
        system.delivery_svc(JWT_KEYS=str(folders.delivery)).launch()
        for daemon in system.daemons:
            eventually(daemon.is_ready)
        yield system


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def key(kind):
    return KINDS[kind]()


@pytest.fixture(scope="module")
def system(parts, key, tmp_path_factory):
    folders = Folders(tmp_path_factory.mktemp("keys"))
    folders.put("current.pem", key)
    with started(parts, folders) as both:
        yield both


def token_of(system):
    return http("POST", f"{system.order.url}/auth/token", data=GRANT).json()["access_token"]


def jwks(system):
    response = http("GET", f"{system.order.url}/.well-known/jwks.json")
    assert response.headers["Content-Type"] == "application/jwk-set+json"
    return response.json()["keys"]


def statuses(system, token):
    """What each daemon says to a token."""
    return (Api(system.order.url, token).get("/orders?limit=1").status_code,
            Api(system.delivery.url, token).get("/delivery/shipment/0190a5b4-0000-7000-8000-000000000000").status_code)


GOOD, BAD = (200, 404), (401, 401)


def test_published_key_verifies_the_token(system, kind, key, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    token = token_of(system)
    client = jwt.PyJWKClient(f"{system.order.url}/.well-known/jwks.json")
    claims = jwt.decode(token, client.get_signing_key_from_jwt(token), algorithms=[kind], audience="order-api",
                        issuer=system.order.url)
    assert claims["client_id"] == "demo-admin"
    kid = joserfc.jwk.import_key(public_pem(key), "EC" if kind == "ES256" else "RSA").thumbprint()
    assert jwt.get_unverified_header(token) == {"alg": kind, "typ": "at+jwt", "kid": kid}


def test_published_key_is_public(system, kind):
    published, = jwks(system)
    members = {"x", "y", "crv"} if kind == "ES256" else {"n", "e"}
    assert published.keys() == members | {"kty", "use", "alg", "kid"}


def test_both_daemons_take_the_token(system):
    assert statuses(system, token_of(system)) == GOOD


def forged(system, kind, key, **changes):
    """A token made elsewhere with the right key: good, except for what is changed."""
    now = int(time.time())
    made = {"algorithm": kind, "key": key, "kid": jwks(system)[0]["kid"], "typ": "at+jwt", "aud": "order-api",
            "iss": system.order.url, "exp": now + 600} | changes
    claims = {"sub": "x", "client_id": "x", "scope": "order:read delivery:read", "iat": now,
              "jti": "0190a5b4-0000-7000-8000-000000000000"} | {name: made[name] for name in ("aud", "iss", "exp")}
    return jwt.encode(claims, made["key"], made["algorithm"], {name: made[name] for name in ("kid", "typ")})


def test_forged_makes_good_tokens_unless_told(system, kind, key):
    assert statuses(system, forged(system, kind, key)) == GOOD


def by_hand(header, key, claims=None):
    """HMAC with a key that PyJWT knows better than to take."""
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [jwt.utils.base64url_encode(part) for part in (header, claims or b"{}")]
    signature = signer.sign(b".".join(parts), key)
    return b".".join([*parts, jwt.utils.base64url_encode(signature)]).decode()


FORGERIES = {
    "HS256 with the secret of before": lambda s, kind, key: s.mint(scope="order:read delivery:read"),
    "HS256 with the public key": lambda s, kind, key: by_hand(
        b'{"alg":"HS256","typ":"at+jwt","kid":"%s"}' % jwks(s)[0]["kid"].encode(), public_pem(key)),
    "the key's algorithm, but HMAC with the public key": lambda s, kind, key: by_hand(
        b'{"alg":"%s","typ":"at+jwt","kid":"%s"}' % (kind.encode(), jwks(s)[0]["kid"].encode()), public_pem(key)),
    "alg none": lambda s, kind, key: forged(s, "none", None),
    "a key of one's own": lambda s, kind, key: forged(s, kind, KINDS[kind]()),
    "a key of the other kind": lambda s, kind, key: (lambda other: forged(s, other, KINDS[other]()))(
        "RS256" if kind == "ES256" else "ES256"),
    "no kid": lambda s, kind, key: forged(s, kind, key, kid=""),
    "a kid that is a path": lambda s, kind, key: forged(s, kind, key, kid="../order/current.pem"),
    "a kid that is SQL": lambda s, kind, key: forged(s, kind, key, kid="' OR 1=1 --"),
    "typ JWT": lambda s, kind, key: forged(s, kind, key, typ="JWT"),
    "another issuer": lambda s, kind, key: forged(s, kind, key, iss="order-processing-system"),
    "another audience": lambda s, kind, key: forged(s, kind, key, aud="elsewhere"),
    "expired": lambda s, kind, key: forged(s, kind, key, exp=int(time.time()) - 1),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_refused_by_both(system, kind, key, name):
    token = FORGERIES[name](system, kind, key)
    assert statuses(system, token) == BAD
    challenge = Api(system.order.url, token).get("/orders").headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="') and 'error="invalid_token"' in challenge


def test_metadata_leads_an_independent_client_to_its_token(system, monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # plain HTTP, to 127.0.0.1 only
    document = http("GET", f"{system.order.url}/.well-known/oauth-authorization-server").json()
    assert document["issuer"] == system.order.url
    # Authlib takes the empty list for a missing one; the standard wants it there.
    assert document["response_types_supported"] == []
    metadata = authlib.oauth2.rfc8414.AuthorizationServerMetadata(document | {"response_types_supported": ["none"]})
    metadata.validate()
    for method in metadata.token_endpoint_auth_methods_supported:
        with authlib.integrations.requests_client.OAuth2Session(
                GRANT["client_id"], GRANT["client_secret"], scope="order:read", token_endpoint_auth_method=method,
                default_timeout=PATIENCE) as session:
            session.trust_env = False
            session.fetch_token(metadata.token_endpoint, grant_type="client_credentials")
            assert session.token["scope"] == "order:read"
            assert session.get(f"{system.order.url}/orders").status_code == 200


# Rotation

class Traffic:
    """Clients that get a token and use it at both daemons, and keep their first one; nothing may fail."""

    def __init__(self, system, clients=4):
        self.system, self.kids, self.failures, self.stopping, self.rounds = system, [], [], False, 0
        self.first = token_of(system)
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        with requests.Session() as session:
            session.trust_env = False
            while not self.stopping:
                try:
                    token = session.post(f"{self.system.order.url}/auth/token", data=GRANT, timeout=PATIENCE)
                    token = token.json()["access_token"]
                    self.kids.append(jwt.get_unverified_header(token)["kid"])
                    for one in (token, self.first):
                        if (got := statuses(self.system, one)) != GOOD:
                            self.failures.append(got)
                except Exception as failure:  # whatever it is, it must not be
                    self.failures.append(failure)
                    return
                self.rounds += 1

    def more(self, count=20):
        goal = self.rounds + count
        eventually(lambda: self.rounds >= goal or self.failures, what="traffic")

    def end(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        assert self.failures == []


def test_rotation_fails_no_request(parts, tmp_path):
    folders, keys = Folders(tmp_path), [KINDS["RS256"](), KINDS["ES256"]()]
    folders.put("current.pem", keys[0])
    with started(parts, folders) as system:
        old, = (key["kid"] for key in jwks(system))
        traffic = Traffic(system)
        try:
            traffic.more()
            folders.put("next.pem", keys[1])
            new = eventually(lambda: {key["kid"] for key in jwks(system)} - {old}).pop()
            eventually(lambda: "2 from" in system.delivery.log_text())
            traffic.more()
            assert set(traffic.kids) == {old}, "published, but not used yet"
            folders.rename("current.pem", "retired.pem")
            folders.rename("next.pem", "current.pem")
            eventually(lambda: traffic.kids[-1] == new or traffic.failures)
            traffic.more()
        finally:
            traffic.end()
        assert {key["kid"] for key in jwks(system)} == {old, new}
        folders.delete("retired.pem")
        eventually(lambda: statuses(system, traffic.first) == BAD, what="the end of the old key")
        assert statuses(system, token_of(system)) == GOOD


def test_broken_key_file_changes_nothing(parts, tmp_path):
    folders = Folders(tmp_path)
    folders.put("current.pem", KINDS["ES256"]())
    with started(parts, folders) as system:
        token = token_of(system)
        for folder, daemon in ((folders.order, system.order), (folders.delivery, system.delivery)):
            (folder / "next.pem").write_text("-----BEGIN")
            eventually(lambda: "next.pem" in daemon.log_text())
        assert statuses(system, token) == GOOD
        assert statuses(system, token_of(system)) == GOOD
        assert len(jwks(system)) == 1


def test_deleted_key_is_void_beside_a_broken_file_and_each_fault_is_told(parts, tmp_path):
    folders, keys = Folders(tmp_path), [KINDS["ES256"](), KINDS["ES256"]()]
    folders.put("current.pem", keys[0])
    with started(parts, folders) as system:
        leaked = token_of(system)
        folders.rename("current.pem", "leaked.pem")
        folders.put("current.pem", keys[1])
        eventually(lambda: len(jwks(system)) == 2)
        assert statuses(system, leaked) == GOOD
        for folder in (folders.order, folders.delivery):
            (folder / "next.pem").write_text("-----BEGIN")
        for daemon in (system.order, system.delivery):
            eventually(lambda: "next.pem" in daemon.log_text())
        folders.delete("leaked.pem")
        eventually(lambda: statuses(system, leaked) == BAD)
        assert statuses(system, token_of(system)) == GOOD
        folders.delete("current.pem")
        for daemon in (system.order, system.delivery):
            eventually(lambda: "no key that can be used" in daemon.log_text(), what="the second fault in the log")
        assert http("POST", f"{system.order.url}/auth/token", data=GRANT).status_code == 503
        folders.put("current.pem", keys[1])
        folders.delete("next.pem")
        eventually(lambda: http("POST", f"{system.order.url}/auth/token", data=GRANT).status_code == 200)
        eventually(lambda: statuses(system, token_of(system)) == GOOD)


def test_delivery_svc_takes_no_private_key(parts, tmp_path):
    folders = Folders(tmp_path)
    folders.put("current.pem", KINDS["ES256"]())
    with System(parts) as system:
        daemon = system.delivery_svc(JWT_KEYS=str(folders.order))
        refused = subprocess.run([daemon.program], env=daemon.environment, capture_output=True, text=True,
                                 timeout=PATIENCE, stdin=subprocess.DEVNULL)
        assert refused.returncode == 1
        assert "current.pem: is a private key" in refused.stderr


def test_secret_publishes_no_key(parts):
    with System(parts) as system:
        system.order_svc().start()
        assert jwks(system) == []
        document = http("GET", f"{system.order.url}/.well-known/oauth-authorization-server")
        assert_problem(document, 404, "NOT_FOUND")
