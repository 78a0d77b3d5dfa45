#!/usr/bin/env python3
"""Clients of a system that start-services.sh has started: order-load.py RATE SECONDS

Creates RATE orders a second. Reads every order once, repeats every tenth, reads every fifth shipment, and revokes a token
every second. Prints how many answers had which status. ORDER_URL and DELIVERY_URL are those of the demo.
"""

import base64
import collections
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
import uuid

CLIENTS = 8
ORDER_URL = os.environ.get("ORDER_URL", "http://localhost:3001")
DELIVERY_URL = os.environ.get("DELIVERY_URL", "http://localhost:3002")
LOGIN = base64.b64encode(b"demo-admin:demo-admin-secret").decode()


class Client:
    """One connection to each daemon."""

    def __init__(self):
        self.connections, self.statuses, self.token = {}, collections.Counter(), None

    def request(self, method, url, path, body=None, headers=()):
        place = urllib.parse.urlsplit(url).netloc
        if place not in self.connections:
            self.connections[place] = http.client.HTTPConnection(place, timeout=30)
        try:
            self.connections[place].request(method, path, body, dict(headers))
            answer = self.connections[place].getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connections.pop(place).close()
            self.statuses[f"{method}: no answer"] += 1
            return None
        self.statuses[f"{method}: {answer.status}"] += 1
        return json.loads(text) if 200 <= answer.status < 300 and text else None

    def form(self, path, **fields):
        return self.request("POST", ORDER_URL, path, urllib.parse.urlencode(fields), {
            "Authorization": f"Basic {LOGIN}", "Content-Type": "application/x-www-form-urlencoded"})

    def new_token(self):
        return (self.form("/auth/token", grant_type="client_credentials") or {}).get("access_token")

    def order(self, number):
        self.token = self.token or self.new_token()
        headers = {"Authorization": f"Bearer {self.token}"}
        key = str(uuid.uuid4())
        body = json.dumps({"customer_id": f"customer-{key}", "items": [
            {"product_id": "laptop-001", "quantity": 1, "unit_price": 999.99}]})
        create = ("POST", ORDER_URL, "/orders", body,
                  headers | {"Content-Type": "application/json", "Idempotency-Key": key})
        made = self.request(*create)
        if number % 10 == 0:
            self.request(*create)
        if made:
            self.request("GET", ORDER_URL, f"/orders/{made['order_id']}", headers=headers)
        if made and number % 5 == 0:
            self.request("GET", DELIVERY_URL, f"/delivery/shipment/{made['order_id']}", headers=headers)

    def run(self, begin, rate, seconds, first):
        for number in range(first, int(rate * seconds), CLIENTS):
            time.sleep(max(0, begin + number / rate - time.monotonic()))
            self.order(number)
            if number % int(max(1, rate)) == 0 and (token := self.new_token()):
                self.form("/auth/revoke", token=token)


def main():
    rate, seconds = float(sys.argv[1]), float(sys.argv[2])
    clients = [Client() for _ in range(CLIENTS)]
    begin = time.monotonic()
    threads = [threading.Thread(target=client.run, args=(begin, rate, seconds, first))
               for first, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sum((client.statuses for client in clients), collections.Counter())
    for what, count in sorted(statuses.items()):
        print(f"{what:20} {count:8}")
    if statuses["POST: 201"] < 0.9 * int(rate * seconds):
        sys.exit("too few orders were taken")


if __name__ == "__main__":
    main()
