"""Live events: server-sent events and long polls, as clients of different kinds see them."""

import concurrent.futures
import contextlib
import datetime
import json
import re
import socket
import subprocess
import threading
import time

import pytest
import requests
import sseclient
from harness import PATIENCE, System, assert_problem, basket, eventually, http
from test_metrics import value

pytestmark = pytest.mark.usefixtures("new_feed")
STREAM = {"Accept": "text/event-stream"}


class Follower:
    """A stream that a foreign library reads in a thread."""

    def __init__(self, api, path="/events", last=None, **query):
        headers = STREAM | {"Authorization": f"Bearer {api.token}"} | ({"Last-Event-ID": last} if last else {})
        self.answer = requests.get(api.url + path, headers=headers, params=query, stream=True, timeout=PATIENCE)
        assert self.answer.status_code == 200, self.answer.text
        self.events, self.ended, self.last = [], False, last
        self.client = sseclient.SSEClient(self.answer)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(requests.RequestException, AttributeError, ValueError):
            for event in self.client.events():
                self.last = event.id or self.last
                self.events.append((event.id, event.event, json.loads(event.data)))
        self.ended = True

    def data(self):
        return [data for _, _, data in self.events]

    def has_delivered(self, count=1):
        """Whether so many orders have come to their end."""
        return [kind for _, kind, _ in self.events].count("order.delivered") == count

    def close(self):
        self.answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)


def history(api, order_id):
    return api.get(f"/orders/{order_id}/events", params={"limit": 100}).json()["events"]


def start_of(api):
    return api.get("/events?after=now").json()["next"]


def test_stream_of_all_orders_shows_what_happens_and_resumes_where_it_ended(system):
    api = system.client()
    stream = Follower(api)
    first = api.created()
    eventually(stream.has_delivered)
    assert stream.data() == history(api, first)
    assert [(id, kind) for id, kind, _ in stream.events] == [(e["id"], e["type"]) for e in stream.data()]
    stream.close()
    second = api.created()
    eventually(lambda: api.order(second)["status"] == "DELIVERED")
    stream = Follower(api, last=history(api, first)[0]["id"])
    eventually(lambda: stream.has_delivered(2))
    assert sorted(stream.data(), key=lambda e: e["id"]) == stream.data()
    assert {e["id"] for e in stream.data()} == {e["id"] for e in history(api, first)[1:] + history(api, second)}
    stream.close()


def test_stream_of_one_order_begins_with_its_history(system):
    api = system.client()
    order_id, other = api.created(), api.created()
    stream = Follower(api, f"/orders/{order_id}/events")
    eventually(stream.has_delivered)
    eventually(lambda: api.order(other)["status"] == "DELIVERED")
    assert stream.data() == history(api, order_id)
    stream.close()


def test_filters_of_a_stream(system):
    api, stranger = system.client(), system.client("other-client")
    streams = [Follower(api, types="order.shipped"), Follower(stranger), Follower(api, customer_id="nobody")]
    everything = Follower(system.client("other-client", "order:read order:read:all"))
    order_id = api.created()
    eventually(everything.has_delivered)
    assert everything.data() == history(api, order_id)
    eventually(lambda: streams[0].events)
    assert [[kind for _, kind, _ in stream.events] for stream in streams] == [["order.shipped"], [], []]
    for stream in [*streams, everything]:
        stream.close()


def test_curl_follows_an_order(system):
    api = system.client()
    order_id = api.created()
    curl = subprocess.Popen(["curl", "-sN", "-m", str(PATIENCE), "-H", "Accept: text/event-stream", "-H",
                             f"Authorization: Bearer {api.token}", f"{api.url}/orders/{order_id}/events"],
                            stdout=subprocess.PIPE, text=True)
    lines = []
    for line in curl.stdout:
        lines.append(line.rstrip("\n"))
        if line == "event: order.delivered\n":
            break
    curl.kill()
    curl.wait()
    assert lines[0].startswith("retry: ") and lines[1].startswith("id: ") and lines[2] == ""
    assert [line[7:] for line in lines if line.startswith("event: ")] == [e["type"] for e in history(api, order_id)]


def test_reader_that_wants_little_of_a_long_history_keeps_nobody_waiting(by_hand):
    """Both get their last event only, after half of the pages and after all."""
    api = by_hand.client()
    order_id, many = api.created(), 30_000
    by_hand.query("""INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, status, request_id)
                     SELECT 1, g, 1, now(), %s, 'demo-client', CASE g WHEN %s THEN 'order.cancelled' ELSE 'order.created' END,
                            'PENDING_SHIPMENT', 'old' FROM generate_series(1, %s) g""", order_id, many, many)
    short, long = (Follower(api, last=f"{1:08x}{begin:016x}{1:08x}", types="order.cancelled") for begin in (many // 2, 0))
    eventually(lambda: long.events)
    assert short.events
    short.close()
    long.close()


def test_headers_of_a_stream(by_hand):
    api = by_hand.client()
    with requests.get(api.url + "/events", headers=STREAM | {"Authorization": f"Bearer {api.token}"}, stream=True) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
    assert requests.head(api.url + "/events", headers=STREAM | {"Authorization": f"Bearer {api.token}"}).status_code == 200
    assert_problem(api.get("/events", headers=STREAM | {"Last-Event-ID": "x"}), 400, "VALIDATION_ERROR")


def test_long_poll_is_answered_by_the_next_event(by_hand):
    api = by_hand.client()
    start = start_of(api)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.get, "/events", params={"after": start, "wait": 20})
        other = pool.submit(by_hand.client("other-client").get, "/events", params={"after": start, "wait": 1})
        time.sleep(0.5)
        assert not waiting.done()
        order_id = api.created()
        page = waiting.result().json()
    assert [e["order_id"] for e in page["events"]] == [order_id] and page["next"] >= page["events"][-1]["id"]
    assert other.result().json()["events"] == [] and other.result().json()["next"] >= start
    again = api.get("/events", params={"after": start, "wait": 20}).json()["events"]
    assert again == page["events"]
    assert api.get("/events", params={"after": page["next"], "wait": 1}).json()["events"] == []


def test_stream_ends_with_its_token(by_hand):
    short, owner = by_hand.client(), by_hand.client()
    revoked = by_hand.client()
    secret = ("demo-client", "demo-secret")
    revoked.token = http("POST", owner.url + "/auth/token", auth=secret,
                         data={"grant_type": "client_credentials"}).json()["access_token"]
    short.token = by_hand.mint(exp=int(time.time()) + 5)
    streams = [Follower(short), Follower(revoked), Follower(owner)]
    assert http("POST", owner.url + "/auth/revoke", auth=secret, data={"token": revoked.token}).status_code == 200
    eventually(lambda: streams[0].ended and streams[1].ended)
    assert not streams[2].ended
    order_id = owner.created()
    eventually(lambda: [e["order_id"] for e in streams[2].data()] == [order_id])
    streams[2].close()


def test_long_poll_ends_with_its_token(by_hand):
    owner, revoked, secret = by_hand.client(), by_hand.client(), ("demo-client", "demo-secret")
    revoked.token = http("POST", owner.url + "/auth/token", auth=secret,
                         data={"grant_type": "client_credentials"}).json()["access_token"]
    start = start_of(owner)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first, other = (pool.submit(api.get, "/events", params={"after": start, "wait": 20}) for api in (revoked, owner))
        eventually(lambda: value(by_hand.order, "orders_feed_readers", kind="long_poll") == 2)
        assert http("POST", owner.url + "/auth/revoke", auth=secret, data={"token": revoked.token}).status_code == 200
        assert first.result().json()["events"] == [] and not other.done()
        order_id = owner.created()
        assert [e["order_id"] for e in other.result().json()["events"]] == [order_id]


def test_replica_shows_what_another_one_did_and_goes_on_for_it(parts):
    with System(parts) as system:
        system.start()
        other = system.order_svc().start()
        here, there = system.client(), system.client(daemon=other)
        stream = Follower(there)
        order_id = here.created()
        eventually(stream.has_delivered)
        assert stream.data() == history(here, order_id)
        other.terminate()
        eventually(lambda: stream.ended)
        other.finish()
        again = here.created()
        stream = Follower(here, last=stream.last)
        eventually(stream.has_delivered)
        assert stream.data() == history(here, again)
        system.order.terminate()
        eventually(lambda: stream.ended)
        system.order.finish()


def test_stop_answers_long_polls(parts):
    with System(parts) as system:
        order = system.order_svc().start()
        api = system.client()
        start = start_of(api)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = [pool.submit(api.get, "/events", params={"after": start, "wait": 20}) for _ in range(3)]
            eventually(lambda: value(order, "orders_feed_readers", kind="long_poll") == 3)
            order.terminate()
            assert [w.result().json()["events"] for w in waiting] == [[], [], []]
        order.finish()


def test_streams_have_a_limit_and_a_client_has_half_of_it(parts):
    with System(parts, STREAM_LIMIT="4") as system:
        system.order_svc().start()
        one, two = system.client(), system.client("other-client")
        streams = [Follower(api) for api in (one, one, two, two)]
        for api in one, system.client("third-client"):
            refused = api.get("/events", headers=STREAM)
            assert_problem(refused, 503, "OVERLOADED")
            assert "Retry-After" in refused.headers
            assert_problem(api.get("/events", params={"after": start_of(api), "wait": 1}), 503, "OVERLOADED")
        streams[0].close()

        def comes_again():
            answer = requests.get(one.url + "/events", headers=STREAM | {"Authorization": f"Bearer {one.token}"}, stream=True)
            answer.close()
            return answer.status_code == 200

        eventually(comes_again)
        for stream in streams[1:]:
            stream.close()


def slow_stream(system, api, start):
    """A stream whose client has read nothing yet."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", system.order.port))
    slow.sendall(f"GET /events HTTP/1.0\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: {start}\r\n"
                 f"Authorization: Bearer {api.token}\r\n\r\n".encode())
    slow.settimeout(PATIENCE)
    return slow


def test_slow_client_misses_nothing(by_hand):
    """It reads nothing while thousands of events come, which are more than the sockets hold."""
    api = by_hand.client()
    slow = slow_stream(by_hand, api, start_of(api))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        orders = set(pool.map(lambda n: api.created(basket(customer_id=f"c-{n}")), range(3000)))
    seen, text = [], b""
    while len(seen) < len(orders):
        piece = slow.recv(65536)
        assert piece, "the stream ended"
        *lines, text = (text + piece).split(b"\n")
        seen += [json.loads(line[6:])["order_id"] for line in lines if line.startswith(b"data: ")]
    slow.close()
    assert len(seen) == len(orders) and set(seen) == orders


def test_position_that_is_too_old_is_told(parts):
    with System(parts) as system:
        order = system.order_svc()
        assert order.command("--migrate").returncode == 0
        system.query("UPDATE order_event_floor SET epoch = 60, xid = 9, n = 1")
        order.start()
        stream = Follower(system.client(), last=f"{60:08x}{8:016x}{1:08x}")
        eventually(lambda: [(id, kind) for id, kind, _ in stream.events] == [(f"{60:08x}{9:016x}{1:08x}", "resync")])
        stream.close()


@contextlib.contextmanager
def with_old_events(parts, many):
    """order-svc, and so many events of twenty days ago, with numbers from 1."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        order = system.order_svc()
        assert order.command("--migrate").returncode == 0
        day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=20)
        system.query(f"CREATE TABLE order_events_{day:%Y%m%d} PARTITION OF order_events"
                     f" FOR VALUES FROM ('{day}') TO ('{day + datetime.timedelta(days=1)}')")
        system.query("""INSERT INTO order_events (epoch, xid, n, recorded_at, occurred_at, order_id, client_id, type, status, actor,
                                                  request_id)
                        SELECT 1, g, 1, %s, now(), gen_random_uuid(), 'demo-client', 'order.created', 'SHIPPED', %s, 'old'
                          FROM generate_series(1, %s) g""", day, "a" * 4000, many)
        order.start()
        yield system


def test_slow_client_is_told_when_what_it_has_not_read_is_gone(parts):
    """The events are more than the sockets hold."""
    with with_old_events(parts, 5000) as system:
        api = system.client()
        slow = slow_stream(system, api, f"{1:08x}{0:016x}{1:08x}")
        eventually(lambda: value(system.order, "orders_feed_events_total") > 0)
        system.query("SELECT order_events_partitions(now() - max(recorded_at) - interval '1450 minutes') FROM order_events WHERE actor <> ''")
        new, text = api.created().encode(), b""
        while new not in text and (piece := slow.recv(65536)):
            text += piece
        seen = re.findall(rb'"id":"([0-9a-f]{32})"', text)
        assert 0 < len(seen) < 5000 and seen == [f"{1:08x}{n:016x}{1:08x}".encode() for n in range(1, len(seen) + 1)]
        again = Follower(api, last=seen[-1].decode())
        eventually(lambda: [kind for _, kind, _ in again.events] == ["resync", "order.created"])
        again.close()


def test_metrics_of_the_feed(parts):
    with System(parts, CARRIER_SIMULATION="false") as system:
        order = system.order_svc().start()
        api = system.client()
        stream = Follower(api)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(api.get, "/events", params={"after": start_of(api), "wait": 20})
            eventually(lambda: value(order, "orders_feed_readers", kind="long_poll") == 1)
            assert value(order, "orders_feed_readers", kind="stream") == 1
            api.created()
            assert len(waiting.result().json()["events"]) == 1
        eventually(lambda: value(order, "orders_feed_events_total") == 2)
        eventually(lambda: value(order, "orders_feed_held_back_seconds") == 0)
        old = parts.connect(system.name)
        old.execute("BEGIN")
        old.execute("SELECT pg_current_xact_id()")
        api.created()
        eventually(lambda: value(order, "orders_feed_held_back_seconds") > 0)
        assert len(stream.events) == 1
        old.execute("ROLLBACK")
        eventually(lambda: value(order, "orders_feed_held_back_seconds") == 0)
        eventually(lambda: len(stream.events) == 2)
        stream.close()
        eventually(lambda: api.created() and value(order, "orders_feed_readers", kind="stream") == 0)
        assert value(order, "orders_feed_readers", kind="long_poll") == 0
