"""Clients that follow the feed: one reads pages and long polls, another one streams. Each must see every event once. A third
one is told by webhooks, at least once, and in order for each order."""

import asyncio
import contextlib
import json
import pathlib
import random
import shutil
import ssl
import tempfile
import time

import certificates
import harness
import stage as stages
import standardwebhooks
import web

ALL = "order:read order:read:all"
SILENCE = 20  # seconds without a byte, after which a stream is given up; it shows that it lives more often
LEASE = 110  # seconds at most until another replica sends what a killed one had begun
SLICE = 5  # seconds of a stream, at most, before the client comes again


class Follower:
    """What both have: where the follower is, and what it has seen."""

    def __init__(self, stage, journal, seed, name):
        self.stage, self.journal, self.rng = stage, journal, random.Random(f"{seed}/{name}")
        self.name, self.stopping, self.position = name, False, "0" * 32
        self.seen = []  # events in the order in which they came
        journal.followers.append(self)
        token = stage.system.mint("auditor", ALL, secret=stages.SECRET)
        self.headers = {"Authorization": f"Bearer {token}"}

    def port(self):
        replica = self.rng.choice(self.stage.replicas_of("order"))
        return replica.port if self.rng.random() < 0.7 else replica.link_port

    def note(self, events):
        self.seen += [event | {"came": time.time()} for event in events]
        if events:
            self.position = events[-1]["id"]

    async def page(self, port, wait):
        """Reads one page. None when there was no usable answer."""
        query = f"/events?after={self.position}&limit={self.rng.randint(1, 100)}" + (f"&wait={wait}" if wait else "")
        connection = web.Web(port)
        try:
            answer = await connection.request("GET", query, self.headers)
        except OSError as error:  # TimeoutError is one, too
            self.journal.outcomes["GET /events", type(error).__name__] += 1
            return None
        finally:
            connection.close()
        self.journal.outcomes["GET /events", f"{answer.status} {answer.error or ''}".strip()] += 1
        if fault := web.fault_of(answer):
            self.journal.faults.append(f"GET {query}: {fault}: {answer.body[:300]}")
        if answer.status != 200:
            return None
        body = answer.json()
        self.note(body["events"])
        self.position = max(self.position, body["next"])
        return body["events"]

    async def read_to_end(self):
        """Once nothing happens any more."""
        end = time.monotonic() + harness.PATIENCE
        while time.monotonic() < end:
            if await self.page(self.port(), 0) == []:
                return
            await asyncio.sleep(0.01)
        self.journal.faults.append(f"{self.name} did not reach the end of the feed")


class Poller(Follower):
    async def live(self):
        while not self.stopping:
            if await self.page(self.port(), self.rng.choice((0, 1, 2))) is None:
                await asyncio.sleep(self.rng.uniform(0.1, 0.5))


class Streamer(Follower):
    async def live(self):
        while not self.stopping:
            outcome = "ended"
            try:
                await self.stream(self.port())
            except (OSError, asyncio.IncompleteReadError) as error:
                outcome = type(error).__name__
            self.journal.outcomes["stream of /events", outcome] += 1
            await asyncio.sleep(self.rng.uniform(0, 0.3))

    async def stream(self, port):
        """Follows until the stream ends, or the client has had enough. HTTP/1.0 has no chunks."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        fields = self.headers | {"Host": "127.0.0.1", "Accept": "text/event-stream", "Last-Event-ID": self.position}
        try:
            writer.write("\r\n".join(["GET /events HTTP/1.0", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode())
            async with asyncio.timeout(SILENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            if head.split()[1] != b"200":
                await asyncio.sleep(self.rng.uniform(0.1, 0.5))
                return
            enough = time.monotonic() + self.rng.uniform(0.5, SLICE)
            while time.monotonic() < enough and not self.stopping:
                async with asyncio.timeout(SILENCE):
                    self.take((await reader.readuntil(b"\n\n")).decode())
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    def take(self, block):
        """A block of the stream. Lines that begin with a colon are comments."""
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields.get("event") == "resync":
            self.journal.faults.append("a stream lost its place")
        if "data" in fields:
            event = json.loads(fields["data"])
            if fields["id"] != event["id"] or fields["event"] != event["type"]:
                self.journal.faults.append(f"a stream tells {fields}")
            self.note([event])
        elif "id" in fields:
            self.position = max(self.position, fields["id"])


class Receiver:
    """Is told of the orders of one client. Now and then it fails, hangs, or hangs up."""

    CLIENT = "shop-0"

    def __init__(self, stage, journal, seed):
        self.stage, self.journal, self.rng = stage, journal, random.Random(f"{seed}/receiver")
        self.stopping, self.seen, self.answered = False, [], set()  # events in the order of their arrival; ids answered 200
        journal.receiver = self

    async def start(self):
        """Listens, and tells order-svc where."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="receiver-"))
        certificates.authority().issue(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        shutil.rmtree(folder)
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        port = self.server.sockets[0].getsockname()[1]
        token = self.stage.system.mint(self.CLIENT, "webhook:manage", secret=stages.SECRET)
        api = harness.Api(self.stage.replicas["order-1"].daemon.url, token)

        def ask():
            answer = api.post("/webhooks", {"url": f"https://127.0.0.1:{port}/"})
            return answer if answer.status_code != 503 else None

        answer = await asyncio.to_thread(harness.eventually, ask)
        assert answer.status_code == 201, answer.text
        self.secret = standardwebhooks.Webhook(answer.json()["secret"])

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the last: at the end
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
                if not await self.take(fields, await reader.readexactly(int(fields["content-length"])), writer):
                    break
        with contextlib.suppress(OSError):
            writer.close()

    async def take(self, fields, body, writer):
        """Answers one delivery. False when it hangs up."""
        try:
            event = self.secret.verify(body, fields)
        except standardwebhooks.WebhookVerificationError as error:
            self.journal.faults.append(f"a webhook cannot be verified: {error}: {body[:300]}")
            return False
        mood = 1 if self.stopping else self.rng.random()
        if mood < 0.02:
            await asyncio.sleep(3)  # longer than WEBHOOK_TIMEOUT
        if mood < 0.05:
            return False
        status = 500 if mood < 0.12 else 200
        if status == 200 and event["id"] not in self.answered:
            self.answered.add(event["id"])
            self.seen.append(event | {"came": time.time()})
        self.journal.outcomes["webhook", str(status)] += 1
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        return True

    async def live(self):
        while not self.stopping:
            await asyncio.sleep(0.2)

    def missing(self):
        rows = self.stage.system.query("SELECT epoch, xid, n FROM order_events WHERE client_id = %s", self.CLIENT)
        return [id for id in (f"{epoch:08x}{xid:016x}{n:08x}" for epoch, xid, n in rows) if id not in self.answered]

    async def read_to_end(self):
        """Deliveries that a killed daemon had begun wait until its lease is over."""
        end = time.monotonic() + LEASE + harness.PATIENCE
        while await asyncio.to_thread(self.missing) and time.monotonic() < end:
            await asyncio.sleep(0.2)
        self.server.close()
