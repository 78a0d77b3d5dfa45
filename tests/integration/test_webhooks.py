"""Webhooks from the client's side: making them, what a receiver gets, and what happens when it does not take it."""

import base64
import re
import uuid

import certificates
import pytest
from harness import TIMESTAMP, UUID, Api, System, assert_problem, at_once, eventually, pointers, until_none_is_left
from receiver import Receiver, verified
from standardwebhooks import Webhook, WebhookVerificationError

SCOPE = "webhook:manage order:create order:read"
# Quick, so that a test sees several attempts; long at its end, so that nothing is disabled by accident.
SETTINGS = {"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "WEBHOOK_SCHEDULE": "50ms,50ms,50ms,1h", "WEBHOOK_TIMEOUT": "10s"}


@pytest.fixture(scope="module")
def system(parts):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS) as both:
        yield both.start()


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


@pytest.fixture
def shop(system):
    """A client that nobody else uses, so that its webhooks get its orders only."""
    return Shop(system)


class Shop:
    def __init__(self, system, name=None, daemon=None):
        self.system, self.name = system, name or f"shop-{uuid.uuid4()}"
        token = system.mint(self.name, SCOPE, secret=system.settings["JWT_SECRET"])
        self.api = Api((daemon or system.order).url, token)

    def add(self, url, **fields):
        answer = self.api.post("/webhooks", {"url": url, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def get(self, hook):
        answer = self.api.get(f"/webhooks/{hook['id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change(self, hook, **fields):
        return self.api.request("PATCH", f"/webhooks/{hook['id']}", json=fields)

    def ping(self, hook):
        answer = self.api.post(f"/webhooks/{hook['id']}/ping")
        assert answer.status_code == 202, answer.text
        return answer.json()["delivery_id"]

    def deliveries(self, hook, **query):
        answer = self.api.get(f"/webhooks/{hook['id']}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["deliveries"]

    def delivery(self, hook, delivery_id):
        return next(one for one in self.deliveries(hook, limit=100) if one["id"] == delivery_id)

    def retry(self, hook, delivery_id):
        return self.api.post(f"/webhooks/{hook['id']}/deliveries/{delivery_id}/retry")

    def ship(self, order_id, *statuses):
        """Moves the shipment of an order."""
        courier = self.system.deliveries()
        shipment = eventually(lambda: courier.shipment(order_id), what="the shipment")
        for status in statuses:
            answer = courier.move(shipment["id"], status)
            assert answer.status_code == 200, answer.text


def state_of(shop, hook, order_id):
    return [(one["type"], one["state"]) for one in reversed(shop.deliveries(hook, limit=100)) if one["order_id"] == order_id]


# Making and reading webhooks

def test_new_webhook_is_shown_with_its_secret_once(shop, receiver):
    answer = shop.api.post("/webhooks", {"url": receiver.url, "events": ["order.shipped"], "description": "Ünïcode"})
    assert answer.status_code == 201
    hook = answer.json()
    assert answer.headers["Location"] == f"/webhooks/{hook['id']}"
    assert UUID.fullmatch(hook["id"]) and TIMESTAMP.fullmatch(hook["created_at"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", hook["secret"])
    assert len(base64.b64decode(hook["secret"].removeprefix("whsec_"))) == 32
    secret = hook.pop("secret")
    assert hook == {"id": hook["id"], "url": receiver.url, "events": ["order.shipped"], "description": "Ünïcode",
                    "enabled": True, "disabled_reason": None, "old_secret_valid_until": None,
                    "created_at": hook["created_at"], "updated_at": hook["created_at"]}
    assert shop.get(hook) == hook
    assert shop.api.get("/webhooks").json() == {"webhooks": [hook], "next_cursor": None}
    stored = shop.system.query("SELECT secret FROM webhooks WHERE id = %s", hook["id"])[0][0]
    sealed = base64.urlsafe_b64decode(stored + "=" * (-len(stored) % 4))
    assert base64.b64decode(secret.removeprefix("whsec_")) not in sealed and len(sealed) == 12 + 32 + 16


def test_webhook_without_more_than_a_url_gets_all_events_and_may_start_disabled(shop, receiver):
    hook = shop.add(receiver.url)
    assert (hook["events"], hook["description"], hook["enabled"]) == (None, None, True)
    assert shop.add(receiver.url, enabled=False, events=None, description=None)["enabled"] is False


BAD = {
    "no url": ({}, "/url"),
    "number as url": ({"url": 1}, "/url"),
    "no http": ({"url": "ftp://example.com/"}, "/url"),
    "no scheme": ({"url": "example.com"}, "/url"),
    "javascript": ({"url": "javascript:alert(1)"}, "/url"),
    "file": ({"url": "file:///etc/passwd"}, "/url"),
    "user": ({"url": "https://user@example.com/"}, "/url"),
    "user and password": ({"url": "https://user:word@example.com/"}, "/url"),
    "fragment": ({"url": "https://example.com/#x"}, "/url"),
    "long": ({"url": "https://example.com/" + "x" * 2048}, "/url"),
    "blank": ({"url": "https://example.com/a b"}, "/url"),
    "line break": ({"url": "https://example.com/\r\nHost: x"}, "/url"),
    "unicode": ({"url": "https://exämple.com/"}, "/url"),
    "ssh": ({"url": "https://example.com:22/"}, "/url"),
    "port 0": ({"url": "https://example.com:0/"}, "/url"),
    "large port": ({"url": "https://example.com:65536/"}, "/url"),
    "private": ({"url": "https://10.0.0.1/"}, "/url"),
    "link-local": ({"url": "http://169.254.169.254/latest/meta-data/"}, "/url"),
    "ipv6 loopback": ({"url": "http://[::1]/"}, "/url"),
    "zone": ({"url": "http://[fe80::1%25eth0]/"}, "/url"),
    "mapped": ({"url": "http://[::ffff:10.0.0.1]/"}, "/url"),
    "metadata in ipv6": ({"url": "http://[fd00:ec2::254]/"}, "/url"),
    "number": ({"url": "http://167772161/"}, "/url"),  # 10.0.0.1
    "hexadecimal": ({"url": "http://0x0a.0.0.1/"}, "/url"),
    "octal": ({"url": "http://012.0.0.1/"}, "/url"),
    "short": ({"url": "http://10.1/"}, "/url"),
    "unknown type": ({"url": "https://example.com/", "events": ["order.lost"]}, "/events"),
    "type twice": ({"url": "https://example.com/", "events": ["order.created", "order.created"]}, "/events"),
    "no type": ({"url": "https://example.com/", "events": []}, "/events"),
    "types as text": ({"url": "https://example.com/", "events": "order.created"}, "/events"),
    "number as type": ({"url": "https://example.com/", "events": [1]}, "/events"),
    "ping": ({"url": "https://example.com/", "events": ["webhook.ping"]}, "/events"),
    "long description": ({"url": "https://example.com/", "description": "x" * 256}, "/description"),
    "empty description": ({"url": "https://example.com/", "description": ""}, "/description"),
    "enabled as text": ({"url": "https://example.com/", "enabled": "yes"}, "/enabled"),
    "own secret": ({"url": "https://example.com/", "secret": "whsec_mine"}, "/secret"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_webhook_is_refused(shop, name):
    body, pointer = BAD[name]
    assert pointers(shop.api.post("/webhooks", body)) == {pointer}
    assert shop.api.get("/webhooks").json()["webhooks"] == []


def test_all_faults_are_told_at_once(shop):
    answer = shop.api.post("/webhooks", {"url": "x", "events": [], "description": 1, "enabled": 1, "more": 1})
    assert pointers(answer) == {"/url", "/events", "/description", "/enabled", "/more"}


def test_a_client_has_twenty_webhooks_at_most(shop, receiver):
    answers = at_once([lambda: shop.api.post("/webhooks", {"url": receiver.url}) for _ in range(25)])
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 5
    gone = answers[[answer.status_code for answer in answers].index(201)].json()
    assert shop.api.request("DELETE", f"/webhooks/{gone['id']}").status_code == 204
    shop.add(receiver.url)
    assert_problem(shop.api.post("/webhooks", {"url": receiver.url}), 409, "WEBHOOK_LIMIT")


def test_pages_have_each_webhook_once_newest_first(shop, receiver):
    made = [shop.add(receiver.url)["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = shop.api.get("/webhooks", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [hook["id"] for hook in page["webhooks"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "x"}, {"more": "1"}])
def test_bad_query_is_refused(shop, receiver, query):
    hook = shop.add(receiver.url)
    for path in ("/webhooks", f"/webhooks/{hook['id']}/deliveries"):
        assert pointers(shop.api.get(path, params=query)) == set(query)


def test_change_changes_what_it_names(shop, receiver):
    hook = shop.add(receiver.url, events=["order.created"], description="old")
    hook.pop("secret")
    changed = shop.change(hook, description=None).json()
    assert changed == hook | {"description": None, "updated_at": changed["updated_at"]}
    changed = shop.change(hook, events=None, url=receiver.url + "2", enabled=False, description="new").json()
    assert (changed["events"], changed["url"], changed["enabled"], changed["description"]) \
        == (None, receiver.url + "2", False, "new")
    assert shop.change(hook).json() == changed | {"updated_at": shop.get(hook)["updated_at"]}
    assert pointers(shop.change(hook, url="http://10.0.0.1/", id="x")) == {"/url", "/id"}
    assert shop.api.request("PATCH", f"/webhooks/{hook['id']}", data=b"{}").status_code == 415


def test_webhook_of_another_client_is_not_found(system, shop, receiver):
    hook, stranger = shop.add(receiver.url), Shop(system)
    delivery_id = shop.ping(hook)
    path = f"/webhooks/{hook['id']}"
    calls = [("GET", path), ("DELETE", path), ("PATCH", path), ("POST", f"{path}/rotate"), ("POST", f"{path}/ping"),
             ("GET", f"{path}/deliveries"), ("POST", f"{path}/deliveries/{delivery_id}/retry")]
    for api, suffix in ((stranger.api, ""), (shop.api, "0")):
        for method, target in calls:
            target = target.replace(hook["id"], hook["id"] + suffix)
            assert_problem(api.request(method, target, json={} if method == "PATCH" else None), 404, "WEBHOOK_NOT_FOUND")
    assert shop.get(hook)["enabled"]
    assert_problem(shop.retry(hook, uuid.uuid4()), 404, "WEBHOOK_NOT_FOUND")
    other = shop.add(receiver.url)
    assert_problem(shop.retry(other, delivery_id), 404, "WEBHOOK_NOT_FOUND")
    assert stranger.api.get("/webhooks").json()["webhooks"] == []


def test_deleted_webhook_gets_nothing_and_leaves_nothing(shop, receiver):
    hook = shop.add(receiver.url)
    delivery_id = shop.ping(hook)
    eventually(lambda: shop.delivery(hook, delivery_id)["state"] == "delivered")
    assert shop.api.request("DELETE", f"/webhooks/{hook['id']}").status_code == 204
    assert shop.api.request("DELETE", f"/webhooks/{hook['id']}").status_code == 404
    other = shop.add(receiver.url)
    order_id = shop.api.created()
    receiver.await_of(order_id, 1)
    assert {one["id"] for one in shop.deliveries(other)} == {receiver.of(order_id)[0].id}
    eventually(lambda: shop.system.query("SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s", hook["id"]) == [(0,)],
               what="the end of its deliveries")
    assert shop.system.query("SELECT secret, old_secret FROM webhooks WHERE id = %s", hook["id"]) == [("", None)]


# What a receiver gets

def test_delivery_is_the_event_of_the_feed_and_signed(shop, receiver):
    hook = shop.add(receiver.url)
    order_id = shop.api.created()
    request = receiver.await_of(order_id, 1)[0]
    event = verified(request, hook["secret"])
    feed = shop.api.get("/events", params={"order_id": order_id}).json()["events"]
    assert [event] == feed and event["type"] == "order.created"
    assert request.body.decode() in shop.api.get("/events", params={"order_id": order_id}).text
    assert (request.path, request.headers["Content-Type"]) == ("/hook", "application/json")
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(request.body, request.headers)
    delivery = eventually(lambda: [one for one in shop.deliveries(hook) if one["state"] == "delivered"])[0]
    assert delivery == {
        "id": request.id, "type": "order.created", "event_id": event["id"], "order_id": order_id, "state": "delivered",
        "attempts": 1, "last_attempt_at": delivery["last_attempt_at"], "last_status": 204, "last_error": None,
        "last_answer": None, "next_attempt_at": None, "created_at": delivery["created_at"],
        "delivered_at": delivery["last_attempt_at"]}


def test_events_of_an_order_come_in_their_order_also_when_one_fails(shop, receiver):
    failed = []

    def answer(request):
        if len(failed) < 3 and request.event.get("type") == "order.created":
            failed.append(request.id)
            return 500, {}, b"out of paper"
        return 200

    receiver.answer = answer
    hook = shop.add(receiver.url)
    order_id = shop.api.created()
    shop.ship(order_id, "SHIPPED", "DELIVERED")
    got = receiver.await_of(order_id, 6)
    assert [request.event["type"] for request in got] == ["order.created"] * 4 + ["order.shipped", "order.delivered"]
    assert len({request.id for request in got}) == 3, "the id is the same with each attempt"
    eventually(lambda: state_of(shop, hook, order_id) == [
        ("order.created", "delivered"), ("order.shipped", "delivered"), ("order.delivered", "delivered")])
    for request in got:
        verified(request, hook["secret"])


def test_webhook_gets_the_types_it_wants_of_its_client_from_its_making_on(system, shop, receiver):
    before = shop.api.created()
    hook = shop.add(receiver.url, events=["order.shipped"])
    order_id, foreign = shop.api.created(), Shop(system).api.created()
    for one in (before, order_id, foreign):
        shop.ship(one, "SHIPPED")
    receiver.await_of(order_id, 1)
    receiver.await_of(before, 1)
    last = shop.ping(hook)
    eventually(lambda: any(request.id == last for request in receiver.got))
    assert sorted((request.event.get("order_id"), request.event["type"]) for request in receiver.got if request.id != last) \
        == sorted([(before, "order.shipped"), (order_id, "order.shipped")])


def test_each_webhook_gets_its_own_delivery(shop, receiver):
    hooks = [shop.add(f"{receiver.url}/{n}") for n in range(3)]
    order_id = shop.api.created()
    got = receiver.await_of(order_id, 3)
    assert sorted(request.path for request in got) == [f"/hook/{n}" for n in range(3)]
    assert len({request.id for request in got}) == 3
    for request in got:
        verified(request, hooks[int(request.path[-1])]["secret"])


def test_ping_is_delivered_and_asked_for_twice_sent_once(shop, receiver):
    hook = shop.add(receiver.url, enabled=False)
    ids = {shop.ping(hook) for _ in range(3)}
    assert len(ids) == 1
    shop.change(hook, enabled=True)
    request = receiver.await_count(1)[0]
    event = verified(request, hook["secret"])
    assert (event["type"], event["webhook_id"], event["id"]) == ("webhook.ping", hook["id"], request.id)
    assert {request.id} == ids


def test_both_secrets_sign_after_a_rotation(shop, receiver):
    hook = shop.add(receiver.url)
    rotated = shop.api.post(f"/webhooks/{hook['id']}/rotate")
    assert rotated.status_code == 200
    secrets = [hook["secret"], rotated.json()["secret"]]
    assert secrets[0] != secrets[1] and TIMESTAMP.fullmatch(rotated.json()["old_secret_valid_until"])
    shop.ping(hook)
    request = receiver.await_count(1)[0]
    assert len(request.headers["webhook-signature"].split()) == 2
    verified(request, *secrets)
    secrets.append(shop.api.post(f"/webhooks/{hook['id']}/rotate").json()["secret"])
    eventually(lambda: shop.deliveries(hook)[0]["state"] == "delivered")
    shop.ping(hook)
    request = receiver.await_count(2)[1]
    verified(request, *secrets[1:])
    with pytest.raises(WebhookVerificationError):
        verified(request, secrets[0])
    shop.system.query("UPDATE webhooks SET old_secret_until = now() WHERE id = %s", hook["id"])
    eventually(lambda: shop.deliveries(hook)[0]["state"] == "delivered")
    shop.ping(hook)
    request = receiver.await_count(3)[2]
    assert len(request.headers["webhook-signature"].split()) == 1
    verified(request, secrets[2])
    assert shop.get(hook)["old_secret_valid_until"] is None


# A receiver that does not take it

ANSWERS = {301: {"Location": "/elsewhere"}, 302: {"Location": "http://127.0.0.1:1/"}, 307: {"Location": "/elsewhere"},
           304: {}, 400: {}, 404: {}, 500: {}, 503: {}}


@pytest.mark.parametrize("status", ANSWERS)
def test_only_2xx_is_success_and_redirects_are_not_followed(shop, receiver, status):
    receiver.answer = lambda request: (status, ANSWERS[status])
    hook = shop.add(receiver.url)
    delivery_id = shop.ping(hook)
    delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["attempts"] >= 2 and one)
    assert (delivery["state"], delivery["last_status"], delivery["last_error"]) == ("waiting", status, None)
    assert {request.path for request in receiver.got} == {"/hook"}
    receiver.answer = lambda request: 299

    def is_delivered():  # an attempt of before may end after the first retry
        if shop.delivery(hook, delivery_id)["state"] == "delivered":
            return True
        shop.retry(hook, delivery_id)
        return False

    eventually(is_delivered)


def test_start_of_the_answer_is_kept_and_the_rest_not_read(shop, receiver):
    receiver.answer = lambda request: (200, {}, "Thänks\n\0".encode() + b"x" * 10_000_000)
    hook = shop.add(receiver.url)
    delivery_id = shop.ping(hook)
    delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["state"] == "delivered" and one)
    assert delivery["last_answer"] == ("Th..nks.." + "x" * 256)[:256]
    assert (delivery["attempts"], delivery["last_status"]) == (1, 200)


def test_endless_headers_end(shop, receiver):
    receiver.answer = lambda request: (200, {f"X-{n}": "x" * 1000 for n in range(95)})
    hook = shop.add(receiver.url)
    delivery_id = shop.ping(hook)
    delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["attempts"] >= 1 and one["last_error"] and one)
    assert (delivery["state"], delivery["last_status"]) == ("waiting", None)


def test_410_disables_at_once_and_nothing_is_lost(shop, receiver):
    receiver.answer = lambda request: 410
    hook = shop.add(receiver.url)
    orders = [shop.api.created()]
    eventually(lambda: shop.get(hook)["enabled"] is False)
    assert shop.get(hook)["disabled_reason"] == "the receiver answered 410 Gone"
    tried = len(receiver.got)
    orders += [shop.api.created() for _ in range(3)]
    eventually(lambda: len(shop.deliveries(hook)) == 4)
    receiver.answer = lambda request: 200
    answer = shop.change(hook, enabled=True)
    assert (answer.json()["enabled"], answer.json()["disabled_reason"]) == (True, None)
    eventually(lambda: {one["state"] for one in shop.deliveries(hook)} == {"delivered"})
    assert {request.event["order_id"] for request in receiver.got[tried:]} == set(orders)
    assert [line["body"] for line in shop.system.order.log_lines() if hook["id"] in line["body"]] \
        == [f"webhook {hook['id']} of {shop.name} is disabled: the receiver answered 410 Gone"]


def test_last_attempt_disables_and_what_waits_comes_when_enabled(parts, receiver):
    receiver.answer = lambda request: 500
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS | {"WEBHOOK_SCHEDULE": "20ms,20ms"}) as both:
        both.start()
        shop = Shop(both)
        hook = shop.add(receiver.url)
        order_id = shop.api.created()
        eventually(lambda: shop.get(hook)["enabled"] is False)
        assert shop.get(hook)["disabled_reason"] == "the last attempt of a delivery has failed"
        assert len(receiver.of(order_id)) == 3
        shop.ship(order_id, "SHIPPED")
        eventually(lambda: len(shop.deliveries(hook)) == 2)
        receiver.answer = lambda request: 200
        shop.change(hook, enabled=True)
        got = receiver.await_of(order_id, 5)
        assert [request.event["type"] for request in got] == ["order.created"] * 4 + ["order.shipped"]


def test_receiver_that_asks_for_time_gets_it(shop, receiver):
    receiver.answer = lambda request: (429, {"Retry-After": "3600"})
    hook = shop.add(receiver.url)
    first = shop.ping(hook)
    eventually(lambda: shop.delivery(hook, first)["last_status"] == 429)
    [(waits, paused)] = shop.system.query(
        "SELECT d.next_at > now() + interval '50 minutes', w.not_before > now() + interval '50 minutes'"
        "  FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = %s", first)
    assert (waits, paused) == (True, True)
    receiver.answer = lambda request: (503, {"Retry-After": "99999999"})
    assert shop.retry(hook, first).status_code == 202
    eventually(lambda: shop.delivery(hook, first)["last_status"] == 503)
    assert shop.system.query("SELECT not_before < now() + interval '61 minutes' FROM webhooks WHERE id = %s", hook["id"]) \
        == [(True,)], "within bounds"
    receiver.answer = lambda request: 200
    assert shop.retry(hook, first).json() == {"delivery_id": first}
    eventually(lambda: shop.delivery(hook, first)["state"] == "delivered")


def test_delivered_event_can_be_sent_again(shop, receiver):
    hook = shop.add(receiver.url)
    order_id = shop.api.created()
    first = receiver.await_of(order_id, 1)[0]
    eventually(lambda: shop.delivery(hook, first.id)["state"] == "delivered")
    assert shop.retry(hook, first.id).status_code == 202
    again = receiver.await_of(order_id, 2)[1]
    assert (again.id, again.body) == (first.id, first.body)
    verified(again, hook["secret"])
    eventually(lambda: shop.delivery(hook, first.id)["state"] == "delivered" and shop.delivery(hook, first.id)["attempts"] == 2)


def test_hanging_receivers_delay_nobody(parts, receiver):
    """More of them than there are places for receivers in doubt."""
    with Receiver() as hanging, System(parts, CARRIER_SIMULATION="false", **SETTINGS | {"WEBHOOK_TIMEOUT": "2s"}) as system:
        system.start()
        hanging.answer = hanging.hang
        shops = [Shop(system) for _ in range(3)]
        for shop in shops:
            for _ in range(15):
                shop.add(hanging.url)
            shop.api.created()
        hanging.await_count(30)
        shop = Shop(system)
        shop.add(receiver.url)
        orders = [shop.api.created() for _ in range(20)]
        for order_id in orders:
            receiver.await_of(order_id, 1)
        assert hanging.server, "it still hangs"


def test_receiver_that_is_away_gets_everything_later(shop, receiver):
    hook = shop.add(receiver.url)
    receiver.stop()
    orders = [shop.api.created() for _ in range(5)]
    eventually(lambda: any(one["last_error"] for one in shop.deliveries(hook)))
    receiver.start()
    for order_id in orders:
        receiver.await_of(order_id, 1)
    eventually(lambda: {one["state"] for one in shop.deliveries(hook)} == {"delivered"})


# Whom we do not call

def test_name_that_leads_to_a_private_address_is_not_called(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS | {"WEBHOOK_ALLOW_NETWORKS": ""}) as both:
        both.start()
        shop = Shop(both)
        assert pointers(shop.api.post("/webhooks", {"url": receiver.url})) == {"/url"}
        hook = shop.add(f"http://localhost:{receiver.port}/")
        delivery_id = shop.ping(hook)
        delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["last_error"] and one)
        assert "has an address that may not be called" in delivery["last_error"]
        assert receiver.got == []


def test_production_wants_https_with_a_certificate_that_it_trusts(parts, tmp_path):
    certificates.authority().issue(tmp_path)
    production = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false",
                  "JWT_SECRET": "a-secret-of-production-that-is-long-enough", "CARRIER_SIMULATION": "false"}
    with Receiver(tmp_path) as receiver, System(parts, **SETTINGS | production) as both:
        both.order_svc()
        assert both.order.command("--migrate").returncode == 0
        both.order.start()
        shop = Shop(both)
        assert pointers(shop.api.post("/webhooks", {"url": receiver.url.replace("https:", "http:")})) == {"/url"}
        hook = shop.add(receiver.url)
        delivery_id = shop.ping(hook)
        delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["last_error"] and one)
        assert "certificate" in delivery["last_error"] and receiver.got == []
        both.order.stop()
        both.order.environment["WEBHOOK_CA_FILE"] = certificates.authority().path
        both.order.start()
        assert shop.retry(hook, delivery_id).status_code == 202
        eventually(lambda: shop.delivery(hook, delivery_id)["state"] == "delivered")
        verified(receiver.got[0], hook["secret"])


def test_proxy_of_the_environment_is_not_used(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS, http_proxy="http://127.0.0.1:1",
                https_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1") as both:
        both.start()
        shop = Shop(both)
        shop.ping(shop.add(receiver.url))
        receiver.await_count(1)


# Clients that come and go

@pytest.mark.parametrize("stop, go", [(["disable"], ["enable"]), (["scope", "order:create", "order:read"], ["scope", *SCOPE.split()])])
def test_client_that_may_not_is_not_told_and_one_that_is_deleted_has_no_webhooks(system, receiver, stop, go):
    name, daemon = f"shop-{uuid.uuid4()}", system.order
    assert daemon.command("client", "add", name, *SCOPE.split()).returncode == 0
    shop = Shop(system, name)
    hook = shop.add(receiver.url)
    first = shop.api.created()
    receiver.await_of(first, 1)
    eventually(lambda: shop.delivery(hook, receiver.of(first)[0].id)["state"] == "delivered")
    assert daemon.command("client", stop[0], name, *stop[1:]).returncode == 0
    system.query("UPDATE webhook_deliveries SET next_at = now() WHERE webhook_id = %s", hook["id"])
    other = Shop(system)
    other.ping(other.add(receiver.url))
    receiver.await_count(2)
    assert len(receiver.of(first)) == 1, "it was due before the ping of the other client"
    assert daemon.command("client", go[0], name, *go[1:]).returncode == 0
    receiver.await_of(first, 2)
    assert daemon.command("client", "delete", name).returncode == 0
    assert system.query("SELECT enabled, secret, deleted_at IS NOT NULL FROM webhooks WHERE id = %s", hook["id"]) \
        == [(False, "", True)]


# Crashes and replicas

def test_killed_daemon_goes_on_where_it_was(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS) as both:
        both.start()
        shop = Shop(both)
        shop.add(receiver.url)
        receiver.answer = receiver.hang
        orders = [shop.api.created() for _ in range(10)]
        receiver.await_count(1)
        both.order.kill()
        receiver.answer = lambda request: 200
        both.query("UPDATE webhook_deliveries SET lease_until = now()")  # else a minute passes
        both.order.start()
        for order_id in orders:
            receiver.await_of(order_id, 1)
        receiver.released.set()


def test_orderly_stop_gives_back_what_was_not_sent(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS | {"WEBHOOK_TIMEOUT": "60s"}, SHUTDOWN_TIMEOUT="10s") as both:
        both.start()
        shop = Shop(both)
        hook = shop.add(receiver.url)
        receiver.answer = receiver.hang
        shop.ping(hook)
        receiver.await_count(1)
        both.order.stop()
        assert both.query("SELECT count(*) FROM webhook_deliveries WHERE lease_until IS NOT NULL") == [(0,)]
        receiver.answer = lambda request: 200
        both.order.start()
        receiver.await_count(2)
        eventually(lambda: shop.deliveries(hook)[0]["state"] == "delivered")


def test_two_replicas_send_each_delivery_once_and_in_order(parts, receiver):
    with System(parts, **SETTINGS) as both:  # with the carrier: three events of each order
        both.start()
        second = both.order_svc().start()
        shop, other = Shop(both), Shop(both, daemon=second)
        shop.add(receiver.url)
        other.add(receiver.url)
        orders = [api.created() for _ in range(50) for api in (shop.api, other.api)]
        done = "SELECT count(*) FROM webhook_deliveries WHERE type = 'order.delivered' AND next_at IS NULL"
        until_none_is_left(lambda: [len(orders) - both.query(done)[0][0]], "deliveries")
        assert len({request.id for request in receiver.got}) == len(receiver.got), "none came twice"
        assert both.query("SELECT max(attempts) FROM webhook_deliveries") == [(1,)]
        for order_id in orders:
            types = [request.event["type"] for request in receiver.of(order_id)]
            assert [one for one in types if one != "order.tracking_changed"] \
                == ["order.created", "order.shipped", "order.delivered"]
        sent = [daemon.metrics('orders_webhook_attempts_total{outcome="delivered"}') for daemon in (both.order, second)] \
            if hasattr(both.order, "metrics") else [1, 1]
        assert all(sent)


def test_changed_key_is_told_and_a_rotation_heals_it(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS) as both:
        both.start()
        shop = Shop(both)
        hook = shop.add(receiver.url)
        both.order.stop()
        both.order.environment["WEBHOOK_SECRETS_KEY"] = "another key of webhooks that is long enough"
        both.order.start()
        delivery_id = shop.ping(hook)
        delivery = eventually(lambda: (one := shop.delivery(hook, delivery_id))["last_error"] and one)
        assert "rotate" in delivery["last_error"] and receiver.got == []
        secret = shop.api.post(f"/webhooks/{hook['id']}/rotate").json()["secret"]
        shop.retry(hook, delivery_id)
        verified(receiver.await_count(1)[0], secret)


def test_old_deliveries_go(parts, receiver):
    with System(parts, CARRIER_SIMULATION="false", **SETTINGS, WEBHOOK_RETENTION="1h") as both:
        both.start()
        shop = Shop(both)
        hook = shop.add(receiver.url, enabled=False)
        delivery_id = shop.ping(hook)
        old = "01900000" + delivery_id[8:]  # of 2024
        both.query("UPDATE webhook_deliveries SET id = %s WHERE id = %s", old, delivery_id)
        eventually(lambda: shop.deliveries(hook) == [])
        eventually(lambda: "1 deliveries of webhooks were given up" in both.order.log_text())
