"""A page of another origin, in a real browser, follows the orders of its user when CORS_ORIGINS lists it."""

import pytest
from browser import Browser, origin
from harness import ROOT, System, eventually, free_port


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def pages():
    """Two origins with the same page."""
    with origin(ROOT / "tests/data") as listed, origin(ROOT / "tests/data") as stranger:
        yield listed, stranger


@pytest.fixture(scope="module")
def shop(parts, pages):
    """Both daemons, which let pages of the first origin in; and a second replica of order-svc."""
    with System(parts, CORS_ORIGINS=pages[0]) as both:
        both.start()
        both.order_svc().start()
        yield both


def follow(browser, page, url, token):
    browser.open(f"{page}/follower.html")
    browser.run("follow(arguments[0], arguments[1])", url, token)


def seen(browser):
    return [tuple(text.split()) for text in browser.find("#events li")]


def history(api, *orders):
    return [(e["id"], e["type"], e["order_id"]) for order in orders for e in api.get(f"/orders/{order}/events").json()["events"]]


def test_page_sees_orders_move_and_goes_on_after_a_restart(browser, pages, shop):
    api, other = shop.client(), shop.client(daemon=shop.daemons[-1])
    follow(browser, pages[0], api.url + "/events", api.token)
    eventually(lambda: browser.find("#state") == ["open with its request id"])
    first = api.created()
    eventually(lambda: "order.delivered" in [kind for _, kind, _ in seen(browser)])
    assert seen(browser) == history(api, first)
    shop.order.stop()
    eventually(lambda: browser.find("#state") == ["TypeError: Failed to fetch"])
    second = other.created()  # the page cannot see it now
    eventually(lambda: other.order(second)["status"] == "DELIVERED")
    assert len(seen(browser)) == 3
    shop.order.start()
    eventually(lambda: [kind for _, kind, _ in seen(browser)].count("order.delivered") == 2)
    assert seen(browser) == history(api, first, second)
    third = api.created()
    eventually(lambda: len(seen(browser)) == 9)
    assert seen(browser) == history(api, first, second, third)


def test_page_of_another_origin_sees_nothing(browser, pages, shop):
    api = shop.client()
    order = api.created()
    browser.console()
    follow(browser, pages[1], f"{api.url}/orders/{order}/events", api.token)
    eventually(lambda: browser.find("#state") == ["TypeError: Failed to fetch"])
    eventually(lambda: api.order(order)["status"] == "DELIVERED")
    assert seen(browser) == []
    assert any("blocked by CORS policy" in line and api.url in line for line in browser.console())
    follow(browser, pages[0], f"{api.url}/orders/{order}/events", api.token)
    eventually(lambda: len(seen(browser)) == 3)


def test_nothing_without_a_token_can_be_read_either(browser, pages, shop):
    """A request that needs no preflight is answered, and the page learns nothing of the answer."""
    script = "return fetch(arguments[0]).then(a => a.status, e => String(e))"
    for page, answer in zip(pages, (200, "TypeError: Failed to fetch"), strict=True):
        browser.open(f"{page}/follower.html")
        assert browser.run(script, shop.order.url + "/health") == answer
        assert browser.run(script, f"http://127.0.0.1:{free_port()}/") == "TypeError: Failed to fetch"
