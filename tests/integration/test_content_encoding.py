"""A body that is compressed, or that says so, is refused: the answer names what is accepted (RFC 9110 15.5.16)."""

import gzip
import json

import pytest
from harness import Api, System, assert_problem, basket, http


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as both:
        yield both.start()


def assert_refused(answer):
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.headers["Accept-Encoding"] == "identity"


PLAIN = json.dumps(basket()).encode()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip", "identity, gzip", "identity;q=1", "x"])
@pytest.mark.parametrize("body", [gzip.compress(PLAIN), PLAIN], ids=["compressed", "plain"])
def test_no_route_reads_an_encoded_body(system, encoding, body):
    headers = {"Content-Encoding": encoding}
    api = system.client()
    assert_refused(api.post("/orders", body, headers=headers | {"Content-Type": "application/json"}))
    assert_refused(system.deliveries().post("/delivery/shipment/none/status", body,
                                            headers=headers | {"Content-Type": "application/json"}))
    for path in ("/auth/token", "/auth/revoke", "/auth/introspect"):
        assert_refused(http("POST", system.order.url + path, data=body, headers=headers))
    assert not api.get("/orders").json()["orders"]


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_identity_is_no_encoding(system, encoding):
    answer = system.client("other").create(basket(), headers={"Content-Encoding": encoding})
    assert answer.status_code == 201 and "Accept-Encoding" not in answer.headers


def test_who_may_not_send_a_body_learns_that_first(system):
    answer = Api(system.order.url, "a.b.c").create(basket(), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 401


def test_what_needs_no_body_is_not_looked_at(system):
    assert http("GET", system.order.url + "/health", headers={"Content-Encoding": "gzip"}).status_code == 200
