"""Takes the pictures of the page in docs/pictures, from a running system and a real browser; see screenshots.sh."""

import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))

from browser import Browser  # noqa: E402
from harness import Parts, System, eventually  # noqa: E402

PICTURES = ROOT / "docs/pictures"
MOST_BYTES = 150 * 1024
PRODUCTS = [("laptop-001", 999.99), ("mouse-001", 29.99), ("desk-lamp", 49.5), ("keyboard-us", 89), ("monitor-27", 329), ("cable-usb-c", 9.95)]


def basket(n):
    chosen = random.sample(PRODUCTS, 2)
    items = [{"product_id": product, "quantity": random.randint(1, 3), "unit_price": price} for product, price in chosen]
    return {"customer_id": f"customer-{n:04d}", "items": items}


def take(browser, name):
    browser.run("return document.fonts.ready.then(() => Promise.all(document.getAnimations().map(a => a.finished))).then(() => 0)")
    picture = browser.picture()
    assert len(picture) < MOST_BYTES, f"{name} has {len(picture)} bytes"
    (PICTURES / f"page-{name}.png").write_bytes(picture)
    print(f"docs/pictures/page-{name}.png: {len(picture)} bytes")


def spread(system, orders):
    """Over half an hour, which nobody wants to wait for."""
    ages = sorted((random.betavariate(1, 1.4) * 1700 for _ in orders), reverse=True)
    for order, age in zip(orders, ages, strict=True):
        system.query("UPDATE orders SET created_at = now() - %s * interval '1 second' WHERE id = %s", age, order)


def main():
    random.seed(7)
    carrier = {"CARRIER_ASSIGN_DELAY": "500ms", "CARRIER_SHIP_DELAY": "3s", "CARRIER_DELIVER_DELAY": "8s"}
    with System(Parts(os.environ), **carrier) as system, Browser() as browser:
        system.start()
        api = system.client()
        old = [api.created(basket(random.randint(1, 9999))) for _ in range(75)]
        eventually(lambda: all(api.order(order)["status"] == "DELIVERED" for order in old))
        spread(system, old)
        browser.look(1100, 680)
        browser.devtools("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(system.order.url + "/")
        browser.type("#client-id", "demo-client")
        browser.type("#client-secret", "demo-secret")
        browser.click("form button")
        eventually(lambda: len(browser.find(".row")) == len(old) and browser.find("#connection") == ["Live"])
        new = []
        for _ in range(8):
            new.append(api.created(basket(random.randint(1, 9999))))
            time.sleep(0.7)
        eventually(lambda: len(browser.find(".row .shipped")) >= 3)
        take(browser, "list")
        browser.run("location.hash = '#/orders/' + arguments[0]", new[-1])
        eventually(lambda: browser.find(".big-status") == ["Shipped"])
        browser.look(1100, 560)
        take(browser, "order")
        browser.run("location.hash = '#/'")
        browser.look(390, 640, scheme="dark")
        new.append(api.created(basket(1)))
        eventually(lambda: browser.find(".row .pending"))
        take(browser, "phone")


if __name__ == "__main__":
    main()
