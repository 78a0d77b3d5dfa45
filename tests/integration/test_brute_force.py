"""Guessing secrets: who fails too often must wait, and nobody else; nor does a refusal tell which clients there are."""

import itertools

import pytest
from harness import System, assert_problem, at_once, eventually, http

GRANT = {"grant_type": "client_credentials"}
addresses = (f"198.51.{number // 256}.{number % 256}" for number in itertools.count())


@pytest.fixture(scope="module")
def system(parts):
    """Behind a proxy, which is this test."""
    with System(parts, AUTH_FAILURE_LIMIT="3", TRUSTED_PROXIES="127.0.0.1") as one:
        one.order_svc().start()
        yield one


def ask(system, address, secret, client="demo-client", path="/auth/token"):
    return http("POST", f"{system.order.url}{path}", data=GRANT | {"token": "a.b.c"}, auth=(client, secret),
                headers={"X-Forwarded-For": address})


def statuses(system, address, times, client="demo-client", path="/auth/token"):
    return [ask(system, address, f"guess-{i}", client, path).status_code for i in range(times)]


def assert_must_wait(answer, policy):
    assert assert_problem(answer, 429, "RATE_LIMITED")["violated-policies"] == [policy]
    assert 1 <= int(answer.headers["Retry-After"]) <= 300
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("client", ["demo-client", "nobody"])
@pytest.mark.parametrize("path", ["/auth/token", "/auth/introspect", "/auth/revoke"])
def test_guessing_ends_also_where_the_next_guess_is_right(system, client, path):
    address = next(addresses)
    assert statuses(system, address, 6, client, path) == [401, 401, 401, 429, 429, 429]
    assert_must_wait(ask(system, address, "demo-secret", client), "failures")


def test_known_and_unknown_clients_are_answered_alike(system):
    known, unknown = ([ask(system, address, f"guess-{i}", client) for i in range(5)]
                      for address, client in [(next(addresses), "demo-admin"), (next(addresses), "no-admin")])
    for one, other in zip(known, unknown):
        assert (one.status_code, one.headers.keys()) == (other.status_code, other.headers.keys())
        assert one.json() | {"request_id": ""} == other.json() | {"request_id": ""}


def test_owner_elsewhere_and_other_clients_go_on(system):
    attacker = next(addresses)
    statuses(system, attacker, 4)
    assert ask(system, next(addresses), "demo-secret").status_code == 200
    assert ask(system, attacker, "demo-admin-secret", "demo-admin").status_code == 200


def test_success_is_no_failure(system):
    address = next(addresses)
    assert {ask(system, address, "demo-secret").status_code for _ in range(20)} == {200}


def test_guesses_at_one_moment_count_too(system):
    address = next(addresses)
    answers = at_once([lambda: ask(system, address, "guess", "target")] * 30)
    failed = sum(answer.status_code == 401 for answer in answers)
    assert 3 <= failed <= 3 + 2, "one more for each further HTTP thread"
    assert {answer.status_code for answer in answers} == {401, 429}


def test_address_that_tries_many_clients_must_wait(system):
    address = next(addresses)
    tries = ((i, ask(system, address, "guess", f"client-{i}")) for i in itertools.count())
    count, refused = next((i, answer) for i, answer in tries if answer.status_code != 401)
    assert 30 <= count <= 35, "some come back meanwhile"
    assert_must_wait(refused, "failures-of-address")
    assert ask(system, next(addresses), "demo-secret").status_code == 200


def test_attack_from_many_addresses_does_not_lock_the_owner_out(system):
    for _ in range(15):
        assert statuses(system, next(addresses), 2, "demo-delivery") == [401, 401]
    late = [[ask(system, address, f"guess-{i}", "demo-delivery") for i in range(3)]
            for address in itertools.islice(addresses, 5)]
    assert [401, 429, 429] in [[answer.status_code for answer in answers] for answers in late]
    refused = [answer for answers in late for answer in answers if answer.status_code == 429]
    assert_must_wait(refused[0], "failures-of-client")
    assert ask(system, next(addresses), "demo-delivery-secret", "demo-delivery").status_code == 200


def test_failures_do_not_fill_the_log(system):
    def told():
        return sum("failed authentication of" in line["body"] for line in system.order.log_lines())

    before = told()
    at_once([lambda: [ask(system, next(addresses), "guess") for _ in range(25)]] * 8)
    eventually(lambda: statuses(system, next(addresses), 1) and "refused tokens and logins were left out" in
               system.order.log_text())
    assert told() - before < 200


def test_failure_is_logged_with_its_address_and_no_secret(system):
    """The id of an unknown client is not: some send a secret in its place."""
    def told(who):
        """Of many failures in a second only some are."""
        address = next(addresses)
        statuses(system, address, 1, who)
        return [line["body"].removesuffix(f" from {address}") for line in system.order.log_lines()
                if line["body"].endswith(f" from {address}")]

    assert eventually(lambda: told("demo-delivery")) == ["failed authentication of demo-delivery"]
    assert eventually(lambda: told("an-id-or-maybe-a-secret")) == ["failed authentication of an unknown client"]
    assert "an-id-or-maybe-a-secret" not in system.order.log_text()
