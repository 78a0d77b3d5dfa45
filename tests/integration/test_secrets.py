"""Secrets come from files and go nowhere: not into a log that tells all, whatever is done with them."""

import pytest
from harness import SECRET, SECRETS, Api, System, eventually, http

CLIENT = {"client_id": "demo-client", "client_secret": "demo-secret", "grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def system(parts, tmp_path_factory):
    """Both daemons with their secrets in files, and all of their log."""
    files = tmp_path_factory.mktemp("secrets")
    names = {"JWT_SECRET": SECRET, "WEBHOOK_SECRETS_KEY": "a-key-of-webhooks-in-a-file-that-is-long",
             "DB_PASSWORD": parts.settings["DB_PASSWORD"]}
    for name, text in names.items():
        (files / name).write_text(text + "\n")
    settings = {f"{name}_FILE": str(files / name) for name in names} | dict.fromkeys(names, "")
    with System(parts, LOG_LEVEL="debug", **settings) as both:
        SECRETS.update(names.values())
        yield both.start()


def token(system, **request):
    answer = http("POST", f"{system.order.url}/auth/token", **request)
    return answer.json()["access_token"]


def test_orders_are_delivered(system):
    api = Api(system.order.url, token(system, json=CLIENT))
    order_id = api.created()
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")


def test_secrets_at_the_wrong_place_are_not_logged(system):
    """All that is refused here has a secret in it: close() looks for them in the log."""
    url, good = system.order.url, token(system, data=CLIENT)
    bearer = {"Authorization": f"Bearer {good}"}
    for path in (f"/orders?access_token={good}", f"/{good}", f"/orders/{good}", f"/orders?cursor={good}"):
        assert http("GET", url + path, headers=bearer).status_code in (400, 404)
    for authorization in (good, f"Basic {good}", f"Token {good}", f"Bearer {good}x", f"Bearer {good} {good}"):
        assert http("GET", f"{url}/orders", headers={"Authorization": authorization}).status_code == 401
    wrong = {"client_secret": "a-secret-that-is-wrong"}
    for request in ({"json": CLIENT | wrong}, {"data": CLIENT | wrong}, {"data": CLIENT, "auth": ("demo-client", SECRET)},
                    {"json": CLIENT | {"grant_type": CLIENT["client_secret"]}}):
        assert http("POST", f"{url}/auth/token", **request).status_code in (400, 401)
    assert http("POST", f"{url}/orders", headers=bearer | {"X-Request-Id": "-"}, json={good: good}).status_code == 400
    assert http("POST", f"{url}/orders", headers=bearer | {"Idempotency-Key": good}, data=good).status_code in (400, 415)


def test_password_that_the_database_refuses_is_not_logged(system, tmp_path):
    """What libpq says of a failed login is logged."""
    (tmp_path / "password").write_text("a-password-that-is-wrong")
    SECRETS.add("a-password-that-is-wrong")
    refused = system.order_svc(DB_PASSWORD_FILE=str(tmp_path / "password")).command("--migrate")
    assert refused.returncode == 1 and "authentication failed" in refused.stderr


def test_environment_and_command_line_hold_no_secret(system):
    for daemon in (system.order, system.delivery):
        for file in ("environ", "cmdline"):
            with open(f"/proc/{daemon.process.pid}/{file}", encoding="utf-8") as text:
                told = text.read()
            assert not [secret for secret in SECRETS if secret in told]
