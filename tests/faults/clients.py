"""Well-behaved clients. They order, retry, cancel, read and follow orders, and record the answers."""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import json
import random
import time
import urllib.parse
import uuid

import harness
import stage as stages
import web

CLIENTS = 24
FOLLOW = 20  # seconds that an order is followed; the rest is checked at the end
STATUSES = {"PENDING_SHIPMENT": 0, "SHIPPED": 1, "DELIVERED": 2, "CANCELLED": 3}
SHIPMENT_STATUSES = {"PROCESSING": 0, "SHIPPED": 1, "DELIVERED": 2, "CANCELLED": 3}
FINAL = (STATUSES["DELIVERED"], STATUSES["CANCELLED"])


@dataclasses.dataclass
class Order:
    """An order as a client sent it, and all answers about it."""
    client_id: str
    body: dict
    key: str | None  # Idempotency-Key
    order_id: str | None = None
    asked: float = 0  # when it was first sent
    wanted: bool = True  # False: the client gave up without an answer
    answers: list = dataclasses.field(default_factory=list)  # Answers with 201
    # (sent, answered, rank of the status or None for "not found", version, request id)
    reads: list = dataclasses.field(default_factory=list)
    shipment_reads: list = dataclasses.field(default_factory=list)
    cancels: int = 0  # requests to cancel it that were sent
    cancel_answers: list = dataclasses.field(default_factory=list)  # Answers to them

    @property
    def customer(self):
        return self.body["customer_id"]


@dataclasses.dataclass
class Token:
    """A token that its client revoked, and what replicas said of it since."""
    text: str
    sent: float  # when the revocation was sent that was answered
    came: float  # and when its answer came
    refused: dict = dataclasses.field(default_factory=dict)  # name of the replica: when it first refused the token
    accepted: list = dataclasses.field(default_factory=list)  # (name of the replica, when it was asked)
    left: list = dataclasses.field(default_factory=list)  # names of the replicas that accept it at the end


class Journal:
    """All requests of clients and their answers."""

    def __init__(self):
        self.orders, self.poison, self.revoked = [], set(), []
        self.followers, self.receiver = [], None  # of the feed, and of webhooks
        self.outcomes = collections.Counter()  # (route, outcome)
        self.faults = []  # answers that the API does not define, and requests without an answer


class Shop:
    """One client with its connections and its own random numbers."""

    def __init__(self, stage, journal, seed, number):
        self.stage, self.journal, self.rng = stage, journal, random.Random(f"{seed}/{number}")
        self.number, self.client_id, self.count = number, f"shop-{number % 5}", 0
        self.stopping = False
        self.seen = ""  # the last position, as a text that sorts, of what was shown
        token = stage.system.mint(
            self.client_id, "order:create order:read delivery:read delivery:write", secret=stages.SECRET)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.webs = {}

    # Asking

    def address(self, service):
        """Chooses a replica, directly or through its link. Returns (replica, port, whether directly)."""
        replica = self.rng.choice(self.stage.replicas_of(service))
        direct = self.rng.random() < 0.7
        return replica, replica.port if direct else replica.link_port, direct

    def free_web(self, port):
        """A connection that no other request of this client is using."""
        return self.webs.get(port, []).pop() if self.webs.get(port) else web.Web(port)

    async def ask(self, service, route, method, path, body=None, **headers):
        """Returns the answer, or None without a usable one. The journal has what went wrong."""
        replica, port, direct = self.address(service)
        connection, sent = self.free_web(port), time.monotonic()
        data = b"" if body is None else json.dumps(body).encode()
        outcome, answer = None, None
        if self.seen and service == "order":
            headers |= {"Consistency-Token": self.seen}
        try:
            answer = await connection.request(method, path, self.headers | headers, data)
            self.seen = max(self.seen, answer.headers.get("consistency-token", ""))
            outcome = f"{answer.status} {answer.error or ''}".strip()
            if fault := web.fault_of(answer):
                self.journal.faults.append(f"{method} {path} of {replica.name}: {fault}: {answer.body[:300]}")
        except TimeoutError:
            outcome = "no answer in time"
        except OSError:
            outcome = "connection lost"
        self.webs.setdefault(port, []).append(connection)
        self.journal.outcomes[route, outcome] += 1
        if answer is None and direct and not replica.was_disturbed(sent, time.monotonic()):
            self.journal.faults.append(f"{method} {path} of {replica.name}: {outcome} at {sent:.1f}"
                                       f" after {time.monotonic() - sent:.1f} s, though it was running")
        return answer if answer and answer.error not in web.RETRY else None

    async def pause(self, least, most):
        await asyncio.sleep(self.rng.uniform(least, most))

    # Ordering

    def new_order(self):
        self.count += 1
        rng = self.rng
        items = [{"product_id": f"product-{rng.randrange(1000)}", "quantity": rng.randint(1, 9),
                  "unit_price": rng.randint(1, 99999) / 100} for _ in range(rng.randint(1, 4))]
        customer = f"customer-{self.number}-{self.count}"
        key = None if rng.random() < 0.2 else str(uuid.UUID(int=rng.getrandbits(128)))
        order = Order(self.client_id, {"customer_id": customer, "items": items}, key, asked=time.monotonic())
        self.journal.orders.append(order)
        return order

    async def send(self, order, body=None):
        key = {"Idempotency-Key": order.key} if order.key else {}
        return await self.ask("order", "POST /orders", "POST", "/orders", body or order.body, **key)

    async def send_and_note(self, order):
        answer = await self.send(order)
        if answer:
            if answer.status == 201:
                order.answers.append(answer)
                order.order_id = answer.json()["order_id"]
            else:
                self.journal.faults.append(f"order of {order.customer} was answered {answer.status} {answer.error}")

    async def place(self, order):
        """Sends the order until it is answered. A few clients give up early."""
        tries = self.rng.randint(1, 3) if self.rng.random() < 0.05 else None
        at_once = 2 if self.rng.random() < 0.1 else 1  # an impatient client, or a proxy that repeats requests
        delay = 0.1
        while not order.answers:
            await asyncio.gather(*[self.send_and_note(order) for _ in range(at_once)])
            if not order.answers and tries is not None:
                tries -= 1
                if tries == 0:
                    order.wanted = False
                    return
            if not order.answers:
                await asyncio.sleep(delay * self.rng.random())
                delay = min(2, delay * 2)

    async def repeat(self, order):
        """Sends the order again, which must not create another. The key with another order must be refused."""
        if self.rng.random() < 0.2:
            await self.send_and_note(order)
        if order.key and self.rng.random() < 0.1:
            answer = await self.send(order, order.body | {"customer_id": order.customer + "-other"})
            if answer and answer.error != "IDEMPOTENCY_KEY_REUSED":
                self.journal.faults.append(f"key of {order.customer} was taken for another order: {answer.status}")

    # Following

    async def read(self, order):
        """Reads the order once. Returns the rank of its status, or None."""
        if self.rng.random() < 0.1:
            answer = await self.ask("order", "GET /orders", "GET", f"/orders?customer_id={order.customer}")
            found = answer.json()["orders"] if answer and answer.status == 200 else []
            seen, version = next((o for o in found if o["id"] == order.order_id), None), None
        else:
            answer = await self.ask("order", "GET /orders/:id", "GET", f"/orders/{order.order_id}")
            seen = answer.json() if answer and answer.status == 200 else None
            version = int(answer.headers["etag"].strip('"v').partition("-")[0]) if seen else None
        if answer is None:
            return None
        rank = STATUSES[seen["status"]] if seen else None
        order.reads.append((answer.sent, answer.came, rank, version, answer.headers["x-request-id"]))
        return rank

    async def read_shipment(self, order):
        answer = await self.ask("delivery", "GET shipment", "GET", f"/delivery/shipment/{order.order_id}")
        if answer is None:
            return
        seen = answer.json() if answer.status == 200 else None
        rank = SHIPMENT_STATUSES[seen["status"]] if seen else None
        order.shipment_reads.append((answer.sent, answer.came, rank, None, answer.headers["x-request-id"]))
        if rank == 0 and self.rng.random() < 0.2:  # somebody in the warehouse is faster than the carrier
            await self.ask("delivery", "POST status", "POST", f"/delivery/shipment/{seen['id']}/status",
                           {"status": "SHIPPED", "tracking_number": f"T{self.count}", "carrier": "ByHand"})
        elif rank and self.rng.random() < 0.1:  # and corrects the label later
            await self.ask("delivery", "POST status", "POST", f"/delivery/shipment/{seen['id']}/status",
                           {"status": seen["status"], "tracking_number": f"T{self.rng.randrange(10**6)}"})

    async def cancel(self, order):
        """Some orders are not wanted any more. The client asks until it is answered, and sometimes once more."""
        if self.rng.random() >= 0.3:
            return
        await self.pause(0, 2.5)  # the carrier takes about so long
        for _ in range(self.rng.randint(1, 2)):
            answer = None
            while not self.stopping and not answer:
                order.cancels += 1
                answer = await self.ask("order", "POST cancel", "POST", f"/orders/{order.order_id}/cancel",
                                        {"reason": f"unwanted {self.count}"})
                await self.pause(0, 0.5)
            if answer and answer.status in (200, 202, 404, 409):
                order.cancel_answers.append(answer)
            elif answer:
                self.journal.faults.append(f"cancelling {order.order_id} was answered {answer.status} {answer.error}")

    async def follow(self, order):
        """Reads until the order is delivered or cancelled."""
        end = time.monotonic() + FOLLOW
        while not self.stopping and time.monotonic() < end:
            if self.rng.random() < 0.3:
                await self.read_shipment(order)
            if await self.read(order) in FINAL:
                return
            await self.pause(0, 0.4)

    async def live(self):
        while not self.stopping:
            order = self.new_order()
            await self.place(order)
            if order.order_id:
                await asyncio.gather(self.repeat(order), self.cancel(order), self.follow(order), self.follow(order))
                await self.read(order)  # after both have seen the end, nobody sees an earlier state


class Vandal:
    """Puts poison and repeated events into the queues, not through the links."""

    def __init__(self, stage, journal, seed):
        self.system, self.journal, self.rng = stage.system, journal, random.Random(f"{seed}/vandal")
        self.stopping = False

    def poison(self):
        body = json.dumps({"eventType": "ORDER_CREATED", "orderId": f"poison-{self.rng.getrandbits(64):x}"})
        self.journal.poison.add(body)
        return body

    def repetition(self):
        """Returns an old event of an order that has moved on since."""
        over = [o for o in self.journal.orders if o.reads and o.reads[-1][2] in FINAL]
        if not over:
            return None
        order = self.rng.choice(over)
        if order.reads[-1][2] == STATUSES["CANCELLED"] or self.rng.random() < 0.5:
            return "ORDERS_QUEUE", harness.order_created(order.order_id), order.order_id
        return "DELIVERY_STATUS_QUEUE", harness.status_update(order.order_id, "SHIPPED"), order.order_id

    def put(self):
        queue = self.rng.choice(["ORDERS_QUEUE", "DELIVERY_STATUS_QUEUE"])
        what = self.repetition() if self.rng.random() < 0.7 else (queue, self.poison(), None)
        if what:
            self.system.send(*what)

    async def live(self):
        while not self.stopping:
            await asyncio.sleep(self.rng.uniform(0.5, 3))
            try:
                await asyncio.to_thread(self.put)
                self.journal.outcomes["into the queues", "sent"] += 1
            except Exception:  # the queues are unavailable
                self.journal.outcomes["into the queues", "failed"] += 1


class Leaver:
    """A client that revokes its tokens and then tries them."""

    PATHS = {"order": "/orders?customer_id=nobody", "delivery": f"/delivery/shipment/{uuid.UUID(int=0x7000_8000 << 48)}"}

    def __init__(self, stage, journal, seed):
        self.stage, self.journal, self.rng = stage, journal, random.Random(f"{seed}/leaver")
        self.stopping = False
        credentials = base64.b64encode(f"{stages.LEAVER}:{stage.leaver_secret}".encode()).decode()
        self.proof = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}

    async def revoke(self):
        """Revokes a new token. Tries until it is answered, because a lost answer says nothing."""
        text = self.stage.system.mint(stages.LEAVER, "order:read delivery:read", secret=stages.SECRET)
        while not self.stopping:
            replica, sent = self.rng.choice(self.stage.replicas_of("order")), time.monotonic()
            with contextlib.suppress(OSError), contextlib.closing(web.Web(replica.port)) as connection:
                answer = await connection.request(
                    "POST", "/auth/revoke", self.proof, urllib.parse.urlencode({"token": text}).encode())
                self.journal.outcomes["POST /auth/revoke", str(answer.status)] += 1
                if answer.status == 200:
                    return self.journal.revoked.append(Token(text, sent, answer.came))
            await asyncio.sleep(0.5)

    async def try_token(self, token, replica):
        """Returns whether the replica accepts the token. None when it did not say."""
        sent, service = time.monotonic(), replica.name.split("-")[0]
        with contextlib.suppress(OSError), contextlib.closing(web.Web(replica.port)) as connection:
            answer = await connection.request("GET", self.PATHS[service], {"Authorization": f"Bearer {token.text}"})
            if answer.status == 401:
                token.refused.setdefault(replica.name, answer.came)
                return False
            if answer.status in (200, 404):
                token.accepted.append((replica.name, sent))
                return True
        return None

    async def ask_everywhere(self):
        """Asks every replica for each revoked token, until all refuse it or PATIENCE has passed."""
        end = time.monotonic() + harness.PATIENCE
        for token in self.journal.revoked:
            token.left = list(self.stage.replicas.values())
            while token.left:
                token.left = [r for r in token.left if await self.try_token(token, r) is not False]
                if token.left and time.monotonic() > end:
                    break
            token.left = [replica.name for replica in token.left]

    async def live(self):
        while not self.stopping:
            await self.revoke()
            for _ in range(3):
                await asyncio.sleep(self.rng.uniform(0.1, 1))
                if self.journal.revoked:
                    await self.try_token(self.rng.choice(self.journal.revoked),
                                         self.rng.choice(list(self.stage.replicas.values())))
