"""Clients that keep their connections and send no request twice: whatever is not answered well is a failure."""

import asyncio
import collections
import json
import random
import threading
import time
import typing
import uuid

DEADLINE = 30  # seconds; longer than every deadline of balancer and daemons but for silent streams
PAUSE = (0, 0.3)  # seconds between two requests, at least and at most
LOOKS = 4  # at each order, so that requests are many and orders few: delivering takes longer than ordering
HURRY = 12  # one client of so many makes no pause


class Answer(typing.NamedTuple):
    status: int
    fields: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Connection:
    def __init__(self, port):
        self.port, self.reader, self.writer, self.used = port, None, None, 0

    async def request(self, method, path, headers, body=b""):
        """One request on the open connection, or on a new one. Raises OSError, EOFError or TimeoutError."""
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await self._exchange(method, path, headers, body)
        except (OSError, EOFError, TimeoutError):
            self.close()
            raise
        self.used += 1
        if answer.fields.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def _exchange(self, method, path, headers, body):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}",
                 *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines if line)
        fields = {name.lower(): value for name, value in fields.items()}
        return Answer(int(status.split()[1]), fields, await self.reader.readexactly(int(fields.get("content-length", 0))))

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.writer, self.used = None, 0


class Order(typing.NamedTuple):
    customer: str
    order_id: str


class Journal:
    """What all clients saw."""

    def __init__(self):
        self.requests, self.failures = collections.Counter(), []
        self.asked = set()  # customers; each wants one order
        self.orders = []
        self.slowest = 0.0
        self.cancelled = set()  # orders that somebody wished to cancel


class Client:
    """Orders, repeats, reads, lists, looks at the shipment and sometimes cancels, one after the other."""

    def __init__(self, load, number):
        self.load, self.journal, self.rng = load, load.journal, random.Random(number)
        self.number, self.pause = number, (0, 0) if load.hurry and number % HURRY == 0 else load.pause
        self.webs = {service: Connection(port) for service, port in load.ports.items()}

    async def ask(self, service, route, path, good, body=None, **headers):
        """Returns the answer if it is a good one."""
        await asyncio.sleep(self.rng.uniform(*self.pause))
        web, began = self.webs[service], time.monotonic()
        method, kept = route.split()[0], web.used
        data = b"" if body is None else json.dumps(body).encode()
        try:
            answer = await web.request(method, path, self.load.headers | headers, data)
            fault = None if answer.status in good else f"{answer.status} {answer.body[:200]!r}"
        except (OSError, EOFError, TimeoutError) as error:
            fault = f"{type(error).__name__} {error}"
        took = time.monotonic() - began
        self.journal.requests[route] += 1
        self.journal.slowest = max(self.journal.slowest, took)
        if fault:
            self.fail(f"{route} {headers}, request {kept + 1} of its connection, after {took:.3f} s: {fault}")
            return None
        return answer

    def fail(self, words):
        self.journal.failures.append(f"{time.strftime('%H:%M:%S')} {words}")

    async def order(self):
        customer = f"customer-{uuid.uuid4()}"
        body = {"customer_id": customer, "items": [{"product_id": "p", "quantity": 2, "unit_price": 1.25}]}
        key = {"Idempotency-Key": str(uuid.uuid4())} if self.number % 8 < 4 else {}
        self.journal.asked.add(customer)
        for repetition in range(2 if key else 1):
            answer = await self.ask("order-svc", "POST /orders", "/orders", {201}, body, **key)
            if answer is None:
                return None
            told = answer.json()["order_id"]
            if not repetition:
                order = Order(customer, told)
                self.journal.orders.append(order)
            elif told != order.order_id:
                self.fail(f"{customer} was answered {told} after {order.order_id}")
        return order

    async def read(self, order):
        answer = await self.ask("order-svc", "GET /orders/:id", f"/orders/{order.order_id}", {200})
        if answer and answer.json()["customer_id"] != order.customer:
            self.fail(f"{order} is of {answer.json()['customer_id']}")

    async def look_for(self, order):
        answer = await self.ask("order-svc", "GET /orders", f"/orders?customer_id={order.customer}", {200})
        found = [one["id"] for one in answer.json()["orders"]] if answer else [order.order_id]
        if found != [order.order_id]:
            self.fail(f"the list of {order.customer} has {found}, not {order.order_id}")

    async def cancel(self, order):
        """It may have left already."""
        self.journal.cancelled.add(order.order_id)
        await self.ask("order-svc", "POST /orders/:id/cancel", f"/orders/{order.order_id}/cancel", {200, 202, 409})

    async def live(self):
        while not self.load.stopping:
            order = await self.order()
            if order is None:
                continue
            for _ in range(LOOKS):
                await self.read(order)
                await self.look_for(order)
                await self.ask("delivery-svc", "GET shipment", f"/delivery/shipment/{order.order_id}", {200, 404})
            if self.load.cancels and self.rng.random() < 0.2:
                await self.cancel(order)
        for web in self.webs.values():
            web.close()


class Load:
    """Runs clients in a thread of its own."""

    def __init__(self, ports, token, clients=24, cancels=True, pause=PAUSE, hurry=True):
        self.ports, self.cancels, self.pause, self.hurry = ports, cancels, pause, hurry
        self.journal, self.stopping = Journal(), False
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.clients = [Client(self, number) for number in range(clients)]
        self.error = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            asyncio.run(self._live())
        except Exception as error:  # shown by stop()
            self.error = error

    async def _live(self):
        await asyncio.gather(*[client.live() for client in self.clients])

    def count(self):
        return sum(self.journal.requests.values())

    def stop(self):
        self.stopping = True
        self.thread.join()
        if self.error:
            raise self.error
        return self.journal
