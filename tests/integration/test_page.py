"""The page at / of order-svc: what is served, and what a reader does with it in a real browser."""

import contextlib
import hashlib
import http.client
import json
import pathlib
import re
import subprocess

import pytest
from browser import KEYS, Browser
from harness import ROOT, Api, System, assert_problem, at_once, basket, eventually, http as ask
from test_production import add

FILES = {file.name: file for file in (ROOT / "web").iterdir()}
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
HOSTILE = "<img src=x onerror=\"document.title='gone'\"><script>alert(1)</script>&amp;"
SECRET = "a-secret-of-production-that-is-long-enough"


@pytest.fixture(scope="module")
def shop(parts):
    with System(parts) as both:
        yield both.start()


@pytest.fixture(scope="module")
def page(shop):
    with Page(shop.order.url) as one:
        yield one


class Page(Browser):
    """A browser that shows the page; each test begins with a new one."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def begin(self, view="", **look):
        """The sign-in of a new page."""
        self.open("about:blank")
        self.console()
        self.look(**look)
        self.open(f"{self.url}/{view}")
        self.sees("h1", "Sign in")

    def sign_in(self, client="demo-client", secret="demo-secret"):
        self.type("#client-id", client)
        self.type("#client-secret", secret)
        self.click("form button")

    def is_live(self):
        eventually(lambda: self.find("#connection") == ["Live"])

    def enter(self, view="", **look):
        """As demo-client, until the page is live."""
        self.begin(view, **look)
        self.sign_in()
        self.is_live()

    def sees(self, selector, text):
        """Waits until one of these elements has the text."""
        eventually(lambda: any(text in found for found in self.find(selector)), what=f"{text!r} in {selector}")

    def fill(self, customer, product="laptop-001", quantity="1", price="999.99"):
        for selector, text in (("#customer", customer), ("#product-1", product), ("#quantity-1", quantity), ("#price-1", price)):
            self.type(selector, text)

    def order_id(self):
        """Of the order that the address names."""
        return eventually(lambda: re.search(r"#/orders/([0-9a-f-]{36})$", self.run("return location.href")))[1]

    def row(self, order_id):
        return self.find(f'.row[data-id="{order_id}"]')

    def asserts_silence(self, *expected):
        """The console has nothing but lines with these texts, and nobody else was asked for anything."""
        others = [line for line in self.console() if not any(text in line for text in expected)]
        assert others == []
        asked = self.run("return performance.getEntriesByType('resource').map(e => e.name)")
        assert asked
        assert [url for url in asked if not url.startswith(self.url + "/")] == []


# What is served

@pytest.mark.parametrize("name", sorted(FILES))
def test_file_is_served_as_it_is(shop, name):
    url = shop.order.url + ("/" if name == "index.html" else f"/app/{name}")
    answer = ask("GET", url)
    assert (answer.status_code, answer.content) == (200, FILES[name].read_bytes())
    assert answer.headers["Content-Type"] == TYPES[name.rsplit(".", 1)[1]]
    tag = answer.headers["ETag"]
    assert tag == '"' + hashlib.sha256(answer.content).hexdigest()[:32] + '"'
    head = ask("HEAD", url)
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", tag)
    assert head.headers["Content-Length"] == str(len(answer.content))
    known = ask("GET", url, headers={"If-None-Match": f'"old", W/{tag}'})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
    assert ask("GET", url, headers={"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize("path", ["/index.html", "/app", "/app/", "/app/index.html", "/app/../index.html", "/app/..%2findex.html",
                                  "/app/%2e%2e/src", "/app/main.js/", "/app/main.js%00", "/app//main.js", "/app/MAIN.JS",
                                  "/app/%2fetc%2fpasswd", "/web/main.js", "//", "/app/page.c"])
def test_nothing_else_is_served(shop, path):
    connection = http.client.HTTPConnection("127.0.0.1", shop.order.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)  # as it is: requests would tidy it up
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (404, "NOT_FOUND")


def test_page_is_read_only(shop):
    assert_problem(ask("POST", shop.order.url + "/"), 405, "METHOD_NOT_ALLOWED")
    assert_problem(ask("GET", shop.delivery.url + "/"), 404, "NOT_FOUND")


@pytest.mark.parametrize("settings, status", [
    ({"APP_ENV": "production"}, 404),
    ({"APP_ENV": "production", "WEB_UI": "true"}, 200),
    ({"APP_ENV": "development"}, 200),
    ({"APP_ENV": "development", "WEB_UI": "false"}, 404)])
def test_page_is_there_in_development_or_when_asked_for(shop, settings, status):
    replica = shop.order_svc(DEMO_CLIENTS="false", JWT_SECRET=SECRET, **settings).start()
    for path in ("/", "/app/main.js"):
        answer = ask("GET", replica.url + path)
        assert answer.status_code == status
        if status == 404:
            assert answer.json()["message"] == "No such path"
    replica.stop()


def test_requests_are_counted_by_their_route(shop):
    ask("GET", shop.order.url + "/app/main.js")
    ask("GET", shop.order.url + "/")
    text = ask_metrics(shop)
    for route in ("/", "/app/:file"):
        assert re.search(rf'http_server_request_duration_seconds_count{{.*http_route="{route}"', text)


def ask_metrics(shop):
    connection = http.client.HTTPConnection("127.0.0.1", int(shop.order.environment["METRICS_PORT"]), timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


# What a reader does

def test_order_is_placed_and_delivered_without_a_reload(page, shop):
    page.enter("#/new")
    page.fill("customer-of-the-page", quantity="2")
    page.click("form button[type=submit]")
    order_id = page.order_id()
    page.sees(".big-status", "Delivered")
    assert shop.client().order(order_id)["items"] == [{"product_id": "laptop-001", "quantity": 2, "unit_price": 999.99}]
    assert page.find(".step-name") == ["Placed", "Shipped", "Delivered"]
    page.sees(".step .hint", "after it was placed")
    page.sees(".facts", "Tracking number")
    page.sees("tfoot", "1,999.98")
    assert page.run("return document.title").startswith(f"Order …{order_id[-8:]}, delivered – Orders")
    page.click("article > p > a")
    page.sees("h1", "All orders")
    assert "Delivered" in page.row(order_id)[0]
    assert page.run("return document.activeElement.closest('.row').dataset.id") == order_id
    page.sees(".figure", "in this minute")
    page.asserts_silence()


def place_many(api, numbers):
    return at_once([lambda i=i: api.created(basket(f"customer-{i}")) for i in numbers])


def test_list_moves_by_itself_and_has_older_orders(page, shop):
    api = shop.client()
    old = place_many(api, range(110))
    shop.all_delivered()
    eventually(shop.feed_is_current)
    page.enter()
    eventually(lambda: len(page.find(".row")) == 100)
    hidden = min(old)  # ids sort by their time
    assert page.row(hidden) == []
    new = api.created(basket("customer-new"))
    eventually(lambda: page.row(new) and "Delivered" in page.row(new)[0])
    assert page.run("return document.querySelector('.row').dataset.id") == new, "the newest is the first"
    page.click(".rows ~ button")
    eventually(lambda: page.row(hidden))
    place_many(api, range(110, 210))
    last = api.created(basket("customer-last"))
    eventually(lambda: page.row(last) and len(page.find(".row")) == 200)
    page.sees("#news", "new order")
    page.sees(".parts", "Database\nworks")
    page.asserts_silence()


def test_page_goes_on_after_a_restart(page, shop):
    with contextlib.ExitStack() as stack:
        other = shop.order_svc().start()
        stack.callback(other.stop)
        page.enter()
        shop.order.stop()
        eventually(lambda: page.find("#connection") == ["Reconnecting…"])
        missed = shop.client(daemon=other).created(basket("customer-missed"))
        eventually(lambda: shop.client(daemon=other).order(missed)["status"] == "DELIVERED")
        assert page.row(missed) == []
        shop.order.start()
        page.run("dispatchEvent(new Event('online'))")  # it need not wait for its next try
        page.is_live()
        eventually(lambda: page.row(missed) and "Delivered" in page.row(missed)[0])
        page.asserts_silence("net::ERR_")


def test_page_reads_again_what_the_stream_no_longer_has(page, shop):
    page.enter()
    lists = "return performance.getEntriesByType('resource').filter(e => e.name.includes('/orders?')).length"
    eventually(lambda: page.run(lists) == 1)
    shop.query("UPDATE order_event_floor SET epoch = 4294967295")  # more than any position has
    try:
        page.run("dispatchEvent(new Event('pagehide'))")  # it hangs up, and comes again with an old position
        eventually(lambda: page.run("dispatchEvent(new Event('online'))") or page.run(lists) == 2)
    finally:
        shop.query("UPDATE order_event_floor SET epoch = 0")
    page.asserts_silence()


def test_stream_is_read_whatever_its_pieces_are(page):
    page.begin()
    text = "retry: 7\nid: 1\n\nid: 2\r\nevent: resync\r\ndata:{\"a\":1}\r\n\r\n:\nid\ndata: x\ndata: y: z\n\nid: 3\nda"
    blocks = [{"retry": "7", "id": "1"}, {"id": "2", "event": "resync", "data": '{"a":1}'}, {"id": "", "data": "x\ny: z"}]
    for size in (1, 2, 7, len(text)):
        assert page.run("return import('/app/stream.js').then(({createParser}) => { const seen = [], take = createParser(b => seen.push(b));"
                        "for (let i = 0; i < arguments[0].length; i += arguments[1]) take(arguments[0].slice(i, i + arguments[1]));"
                        "return seen; })", text, size) == blocks


@pytest.mark.parametrize("ms, words", [(0, "less than 1 s"), (999, "less than 1 s"), (15000, "15 s"), (60000, "1 min"), (125000, "2 min 5 s"),
                                       (3600000, "1 h"), (3659000, "1 h"), (11520000, "3 h 12 min"), (187200000, "2 d 4 h")])
def test_times_between_events_are_words(page, ms, words):
    assert page.run("return import('/app/format.js').then(({span}) => span(arguments[0]))", ms) == words


def test_wrong_secret_is_told_and_can_be_corrected(page):
    page.begin()
    page.click("form button")
    assert page.find(".error") == ["Enter the client id.", "Enter the client secret."]
    page.sign_in(secret="wrong")
    page.sees("[role=alert]", "do not fit together")
    assert page.run("return document.activeElement.id") == "client-secret"
    page.press("demo-secret")  # takes the place of what was there
    page.press([KEYS["Enter"]])
    page.is_live()
    page.asserts_silence("auth/token - Failed to load resource")


def test_short_token_is_renewed(page, shop):
    tokens = "return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/auth/token')).length"
    with contextlib.ExitStack() as stack:
        replica = shop.order_svc(JWT_EXPIRES_IN="20s").start()
        stack.callback(replica.stop)
        stack.callback(setattr, page, "url", page.url)
        stack.callback(page.open, "about:blank")
        page.url = replica.url
        page.enter()
        eventually(lambda: page.run(tokens) >= 2)
        order = shop.client(daemon=replica).created(basket("customer-later"))
        eventually(lambda: page.row(order))
        page.asserts_silence()  # no request met a token that was too old


def test_client_that_may_not_read_is_told(page, shop):
    secret = add(shop, "placer", "order:create")
    page.begin()
    eventually(lambda: ask("POST", shop.order.url + "/auth/token", auth=("placer", secret),
                           data={"grant_type": "client_credentials"}).status_code == 200)
    page.sign_in("placer", secret)
    page.sees("[role=alert]", "order:read")
    page.asserts_silence("Failed to load resource: the server responded with a status of 403")


def test_revoked_token_is_replaced_and_a_client_that_is_gone_signs_in_again(page, shop):
    secret = add(shop, "reader", "order:create", "order:read", "webhook:manage")

    def token():
        answer = ask("POST", shop.order.url + "/auth/token", auth=("reader", secret), data={"grant_type": "client_credentials"})
        return answer.status_code == 200 and answer.json()["access_token"]

    page.begin()
    eventually(token)
    page.sign_in("reader", secret)
    page.is_live()
    renewed = "return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/auth/token')).length >= 2"
    assert shop.order.command("client", "scope", "reader", "order:create", "order:read").returncode == 0  # ends its tokens
    eventually(lambda: page.run(renewed))
    page.is_live()
    order = Api(shop.order.url, token()).created(basket("customer-of-the-reader"))
    eventually(lambda: page.row(order))
    assert page.find("h1") == ["All orders"], "nobody had to sign in again"
    assert shop.order.command("client", "disable", "reader").returncode == 0
    page.sees("[role=alert]", "Your access has ended")
    assert page.find("h1") == ["Sign in"]
    assert page.find(".row") == []
    page.asserts_silence("Failed to load resource: the server responded with a status of 401")


def test_sign_out_ends_the_token_and_leaves_nothing(page, shop):
    before = shop.query("SELECT count(*) FROM revoked_tokens")[0][0]
    page.enter()
    page.click("#sign-out")
    page.sees("h1", "Sign in")
    eventually(lambda: shop.query("SELECT count(*) FROM revoked_tokens")[0][0] == before + 1)
    assert page.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.find(".row") == []
    page.asserts_silence()


def test_refused_order_says_why_at_its_fields(page):
    page.enter("#/new")
    page.click(".line .quiet")  # a second item
    page.fill("", quantity="none", price="0.001")
    page.type("#price-2", "5")
    page.type("#quantity-2", "0")
    page.type("#product-2", "mouse-001")
    page.click("form button[type=submit]")
    page.sees("[role=alert]", "was not placed")
    errors = page.run("return Object.fromEntries([...document.querySelectorAll('[aria-invalid]')]"
                      ".map(e => [e.id, document.getElementById(e.getAttribute('aria-describedby')).innerText]))")
    assert errors.keys() == {"customer", "quantity-1", "price-1", "quantity-2"}
    assert errors["customer"].startswith("Customer id must be 1 to 255 characters")
    assert page.run("return document.activeElement.id") == "customer"
    page.click("fieldset:nth-of-type(2) > button")
    page.fill("customer-right")
    page.click("form button[type=submit]")
    page.sees(".big-status", "Delivered")
    page.asserts_silence("/orders - Failed to load resource: the server responded with a status of 400")


def test_a_thousand_is_not_taken_for_one(page):
    page.enter("#/new")
    page.fill("customer-1", quantity="1,000", price="1,500")
    page.click("form button[type=submit]")
    page.sees("[role=alert]", "was not placed")
    assert page.run("return [...document.querySelectorAll('[aria-invalid]')].map(e => e.id)") == ["quantity-1", "price-1"]
    page.asserts_silence("/orders - Failed to load resource: the server responded with a status of 400")


def test_hostile_text_is_text(page, shop):
    order = shop.client().created(basket(HOSTILE, items=[{"product_id": HOSTILE, "quantity": 1, "unit_price": 1}]))
    page.enter()
    eventually(lambda: page.row(order) and HOSTILE in page.row(order)[0])
    page.run("location.hash = '#/orders/' + arguments[0]", order)
    page.sees("caption", HOSTILE)
    page.sees("tbody th", HOSTILE)
    page.run("location.hash = '#/orders/' + encodeURIComponent(arguments[0])", HOSTILE)
    page.sees("h1", HOSTILE)
    page.sees("[role=alert]", "There is no such order.")
    assert page.run("return [document.images.length, document.scripts.length, document.title.includes('gone')]") == [0, 1, False]
    page.asserts_silence("404 (Not Found)")


def test_link_to_an_order_and_the_way_back(page, shop):
    order = shop.client().created(basket("customer-link"))
    page.enter(f"#/orders/{order}")
    page.sees("h1", order)
    page.sees("caption", "customer-link")
    page.click("nav a")
    page.sees("h1", "All orders")
    page.run("history.back()")
    page.sees("h1", order)
    page.sees(".big-status", "Delivered")
    page.asserts_silence()


def focus_moves_to(page, selector, hold=""):
    """Presses Tab until an element has the focus, which must be seen."""
    for _ in range(60):
        if page.run("return document.activeElement.matches(arguments[0])", selector):
            assert page.run("const e = document.activeElement; return [e, e.closest('.row') ?? e]"
                            ".some(e => getComputedStyle(e).outlineStyle !== 'none')"), selector
            return
        page.press([KEYS["Tab"]], hold)
    raise AssertionError(f"Tab does not come to {selector}")


def test_all_works_with_the_keyboard(page):
    page.begin()
    for selector, text in (("#client-id", "demo-client"), ("#client-secret", "demo-secret"), ("form button", "")):
        focus_moves_to(page, selector)
        page.press(text)
    page.press([KEYS["Enter"]])
    page.is_live()
    focus_moves_to(page, "nav a[href='#/new']", KEYS["Shift"])
    page.press([KEYS["Enter"]])
    for selector, text in (("#customer", "customer-of-keys"), ("#product-1", "laptop-001"), ("#price-1", "5.50"),
                           ("form button[type=submit]", "")):
        focus_moves_to(page, selector)
        page.press(text)
    page.press([KEYS["Enter"]])
    order = page.order_id()
    page.sees(".big-status", "Delivered")
    focus_moves_to(page, "article a[href='#/']")
    page.press([KEYS["Enter"]])
    focus_moves_to(page, f".row[data-id='{order}'] a")
    page.press([KEYS["Enter"]])
    page.sees("h1", order)
    page.run("document.activeElement.blur()")
    focus_moves_to(page, "#skip")
    page.press([KEYS["Enter"]])
    assert page.run("return document.activeElement.id") == "main"
    focus_moves_to(page, "#sign-out")
    page.press([KEYS["Enter"]])
    page.sees("h1", "Sign in")
    page.asserts_silence()


# For everybody

@pytest.fixture(scope="module")
def axe():
    """The program that finds faults, as a script."""
    path = subprocess.run([ROOT / "scripts/axe.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return pathlib.Path(path).read_text()


def faults(page, axe):
    found = page.run(axe + ";return axe.run().then(r => [r.passes.length, r.violations.map(v => [v.id, v.nodes.map(n => n.failureSummary"
                           " + ' ' + n.html)])])")
    assert found[0] > 10, "nothing was looked at"
    return found[1]


@pytest.mark.parametrize("look", [{}, {"scheme": "dark"}, {"width": 360, "height": 720}, {"width": 360, "height": 720, "scheme": "dark"}],
                         ids=["desk", "dark", "phone", "dark phone"])
def test_page_is_accessible(page, shop, axe, look):
    order = shop.client().created(basket("customer-of-everybody"))
    page.begin(**look)
    assert faults(page, axe) == []
    page.sign_in("demo-client", "wrong")
    page.sees("[role=alert]", "do not fit together")
    assert faults(page, axe) == []
    page.sign_in()
    page.is_live()
    eventually(lambda: page.row(order) and "Delivered" in page.row(order)[0])
    page.run("return Promise.all(document.getAnimations().map(a => a.finished)).then(() => 0)")
    assert faults(page, axe) == []
    fits(page)
    page.run("location.hash = '#/orders/' + arguments[0]", order)
    page.sees(".big-status", "Delivered")
    assert faults(page, axe) == []
    fits(page)
    page.run("location.hash = '#/new'")
    page.click("form button[type=submit]")
    page.sees("[role=alert]", "was not placed")
    assert faults(page, axe) == []
    fits(page)
    page.asserts_silence("Failed to load resource: the server responded with a status of 40")


def fits(page):
    assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "it must be scrolled sideways"


def test_page_stands_still_for_those_who_ask_for_it(page):
    page.begin()
    page.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    page.sign_in()
    page.is_live()
    page.run("document.querySelector('main').classList.add('row', 'moved')")
    assert page.run("return document.getAnimations().length") == 0


@pytest.fixture(scope="module")
def waiting_shop(parts):
    """Nothing is shipped by itself: orders can be cancelled."""
    with System(parts, CARRIER_SIMULATION="false") as both:
        yield both.start()


@pytest.fixture
def waiting_page(page, waiting_shop):
    """The page of that shop."""
    whole, page.url = page.url, waiting_shop.order.url
    yield page
    page.asserts_silence()
    page.open("about:blank")
    page.url = whole


def sees_cancel_button(page):
    eventually(lambda: page.run("return !document.querySelector('.cancel')?.closest('[hidden]')"))
    page.sees(".cancel", "Cancel order")


def test_order_is_cancelled_from_its_page(waiting_page, waiting_shop):
    page, order = waiting_page, waiting_shop.client().created(basket("customer-who-cancels"))
    page.enter(f"#/orders/{order}")
    sees_cancel_button(page)
    page.type("#reason", HOSTILE)
    page.click(".cancel button")
    page.sees(".big-status", "Cancelled")
    page.sees("[role=status]", "The order was cancelled.")
    page.sees(".step-name", "Cancelled")
    assert [name for name in page.find(".step-name") if name.startswith("Cancel")] == ["Cancel requested", "Cancelled"]
    page.sees(".step", HOSTILE)
    page.click("article > p > a")
    eventually(lambda: "Cancelled" in page.row(order)[0])


def test_what_an_order_carries_is_shown(waiting_page, waiting_shop):
    page, carried = waiting_page, {"reference": "R-2026/7", "currency": "JPY", "metadata": {"gift": HOSTILE}}
    order = waiting_shop.client().created(basket("customer-in-tokyo", items=[
        {"product_id": "tea", "quantity": 3, "unit_price": 1500}]) | carried)
    page.enter(f"#/orders/{order}")
    page.sees("tfoot", "JPY\u00a04,500")
    for fact in ("R-2026/7", HOSTILE):
        page.sees(".facts dd", fact)
    page.sees(".step", "total JPY\u00a04,500")
    page.click("article > p > a")
    eventually(lambda: "JPY\u00a04,500" in page.row(order)[0])


def test_order_that_leaves_first_says_why_it_goes_on(waiting_page, waiting_shop):
    page, order = waiting_page, waiting_shop.client().created(basket("customer-who-is-late"))
    shipment = eventually(lambda: waiting_shop.deliveries().shipment(order))
    waiting_shop.query("UPDATE shipments SET status = 'SHIPPED' WHERE id = %s", shipment["id"])  # and nobody hears of it
    page.enter(f"#/orders/{order}")
    sees_cancel_button(page)
    page.click(".cancel button")
    page.sees("[role=status]", "The cancellation was refused: The shipment had left.")
    page.sees(".big-status", "Shipped")


def test_order_that_has_arrived_cannot_be_cancelled(page, shop):
    order = shop.client().created(basket("customer-too-late"))
    eventually(lambda: shop.client().order(order)["status"] == "DELIVERED")
    page.enter(f"#/orders/{order}")
    page.sees(".big-status", "Delivered")
    assert page.run("return document.querySelector('.cancel').closest('section').hidden")
    page.asserts_silence()
