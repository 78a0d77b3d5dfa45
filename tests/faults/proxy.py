"""A TCP proxy that simulates network faults. It runs as a process of its own.

It reads commands as JSON lines from standard input and answers each with one line. It ends when its input ends:
  {"do": "add", "link": NAME, "host": HOST, "port": PORT}     a new link to a server; answers {"port": ...}
  {"do": "fault", "link": NAME, "kind": KIND, "direction": "up"|"down"|"both", "value": NUMBER}
  {"do": "heal", "link": NAME}                                ends the link's fault
Kinds, for the bytes that go up to the server, down to the client, or both ways:
  latency    each piece of data arrives value seconds later
  slow       value bytes per second
  blackhole  nothing arrives, not even the end of a connection. Waiting data arrives when the fault ends
  halfopen   one side of each connection ends and the other side is not told. up: the server's side ends, down: the
             client's side ends, both: either, in turn. New connections work. The other side gets a reset when the
             fault ends
  reset      all connections are reset, and new ones at once
  spoil      the first message of each SendMessageBatch is changed into one that SQS refuses
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import struct
import sys

PIECE = 16384
# The beginning of a message with six letters, which a control character that SQS does not allow replaces.
MESSAGE = re.compile(rb'("MessageBody":"\{\\")[a-zA-Z]{6}')


class Direction:
    """The fault of one direction."""

    def __init__(self):
        self.delay, self.rate, self.spoiled, self.passable = 0, None, False, asyncio.Event()
        self.heal()

    def heal(self):
        self.delay, self.rate, self.spoiled = 0, None, False
        self.passable.set()

    async def hold(self, size):
        """Waits as long as size bytes take to arrive."""
        delay = self.delay + (size / self.rate if self.rate else 0)
        if delay:
            await asyncio.sleep(delay)
        await self.passable.wait()


def reset(writer):
    """Ends a connection with a TCP reset."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Pair:
    """A client's connection, and the connection to the server that belongs to it."""

    def __init__(self, link, client, server):
        self.link, self.client, self.server = link, client, server
        self.half_open = None  # the writer of the side that was not told of the end

    async def run(self, from_client, from_server):
        await asyncio.gather(self.pump(from_client, self.server, self.link.up),
                             self.pump(from_server, self.client, self.link.down))

    async def pump(self, source, sink, direction):
        try:
            while data := await source.read(min(PIECE, direction.rate or PIECE)):
                if direction.spoiled:
                    data = MESSAGE.sub(rb"\1\\u0001", data, count=1)
                await direction.hold(len(data))
                if not self.half_open:
                    sink.write(data)
                    await sink.drain()
            await direction.hold(0)
            if not self.half_open:
                sink.write_eof()
        except OSError:
            await direction.hold(0)
            if not self.half_open:
                reset(sink)

    def halve(self, told):
        self.half_open = self.server if told is self.client else self.client
        reset(told)

    def reset(self):
        reset(self.client)
        reset(self.server)


class Link:
    """A port that leads to a server."""

    def __init__(self, host, port):
        self.target, self.up, self.down = (host, port), Direction(), Direction()
        self.pairs, self.tasks, self.refusing = set(), set(), False

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def serve(self, from_client, client):
        if self.refusing:
            return reset(client)
        try:
            from_server, server = await asyncio.open_connection(*self.target)
        except OSError:
            return reset(client)
        pair, task = Pair(self, client, server), asyncio.current_task()
        self.pairs.add(pair)
        self.tasks.add(task)  # otherwise the task may be garbage-collected
        try:
            await pair.run(from_client, from_server)
        finally:
            self.pairs.discard(pair)
            self.tasks.discard(task)
            client.close()
            server.close()

    def fault(self, kind, direction, value):
        directions = {"up": [self.up], "down": [self.down], "both": [self.up, self.down]}[direction]
        if kind == "reset":
            self.refusing = True
            for pair in self.pairs:
                pair.reset()
        elif kind == "halfopen":
            for i, pair in enumerate(self.pairs):
                pair.halve(pair.server if direction == "up" or (direction == "both" and i % 2) else pair.client)
        for one in directions:
            if kind == "latency":
                one.delay = value
            elif kind == "slow":
                one.rate = int(value)
            elif kind == "blackhole":
                one.passable.clear()
            elif kind == "spoil":
                one.spoiled = True

    def heal(self):
        self.refusing = False
        self.up.heal()
        self.down.heal()
        for pair in self.pairs:
            if pair.half_open:
                reset(pair.half_open)


async def obey(command, links):
    if command["do"] == "add":
        link = links[command["link"]] = Link(command["host"], command["port"])
        return {"port": await link.listen()}
    if command["do"] == "fault":
        links[command["link"]].fault(command["kind"], command["direction"], command["value"])
    elif command["do"] == "heal":
        links[command["link"]].heal()
    return {}


async def main():
    commands, links = asyncio.StreamReader(), {}
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        print(json.dumps(await obey(json.loads(line), links)), flush=True)
    os._exit(0)  # without a farewell to the connections that are left


if __name__ == "__main__":
    asyncio.run(main())
