"""HTTP of the clients: a connection that is kept, a deadline for the whole request, and the check of an answer."""

import asyncio
import contextlib
import json
import time
import typing

DEADLINE = 20  # seconds; longer than every deadline within the daemons together
KEEP = 1  # seconds that an idle connection is kept, less than in the server and less than stage.RELIEF

# The errors of docs/openapi.yaml that a good request may meet.
ERRORS = {"ORDER_NOT_FOUND": 404, "SHIPMENT_NOT_FOUND": 404, "IDEMPOTENCY_CONFLICT": 409, "INVALID_TRANSITION": 409,
          "IDEMPOTENCY_KEY_REUSED": 422, "OVERLOADED": 503, "UNAVAILABLE": 503}
RETRY = ("IDEMPOTENCY_CONFLICT", "OVERLOADED", "UNAVAILABLE")


class Answer(typing.NamedTuple):
    status: int
    headers: dict
    body: bytes
    sent: float  # when the request was sent, and when the answer was there
    came: float

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return None if self.status < 400 else self.json()["error"]


def fault_of(answer):
    """Says why the API does not define this answer to a good request. None when it does."""
    if "x-request-id" not in answer.headers:
        return "has no X-Request-Id"
    if answer.status < 400:
        return None if answer.status in (200, 201, 202, 304) else f"status {answer.status}"
    if answer.headers.get("content-type") != "application/problem+json":
        return f"status {answer.status} without a problem document"
    if ERRORS.get(answer.error) != answer.status:
        return f"status {answer.status} {answer.error}"
    if answer.error in RETRY and not answer.headers.get("retry-after", "").isdigit():
        return f"{answer.error} without Retry-After"
    return None


class Web:
    """One client's connection to one address."""

    def __init__(self, port):
        self.port, self.writer, self.used = port, None, 0

    async def request(self, method, path, headers, body=b""):
        """Raises TimeoutError, or OSError when the connection was lost."""
        sent = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._exchange(method, path, headers, body, sent)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the connection ended") from error
        finally:
            if self.used < sent:  # the request failed, so the connection's state is unknown
                self.close()

    async def _exchange(self, method, path, headers, body, sent):
        if self.writer is None or sent - self.used > KEEP:
            self.close()
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines + ["", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        fields = {name.lower(): value for name, value in fields.items()}
        content = await self.reader.readexactly(int(fields.get("content-length", 0)))
        self.used = time.monotonic()
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(head[0].split()[1]), fields, content, sent, self.used)

    def close(self):
        if self.writer is not None:
            with contextlib.suppress(OSError):
                self.writer.close()
        self.writer = None
