"""Reading from a standby (DB_READ_HOST): what it answers, and that nobody sees an order go back or vanish."""

import contextlib

import pytest
from clusters import PASSWORD, Cluster, primary_and_standby
from harness import Api, System, assert_problem, basket, eventually
from pooler import PgBouncer
from test_fault_hosts import pair, system_on  # noqa: F401 (pair is a fixture)
from test_metrics import value

TOKEN = "Consistency-Token"


class Reader(Api):
    """A client that sends the token of its last answer with each request."""

    def __init__(self, daemon, token):
        super().__init__(daemon.url, token)
        self.seen = None

    def request(self, method, path, headers=None, **options):
        seen = {TOKEN: self.seen} if self.seen else {}
        answer = super().request(method, path, headers=seen | (headers or {}), **options)
        self.seen = answer.headers.get(TOKEN, self.seen)
        return answer


@contextlib.contextmanager
def way_through(cluster):
    """The settings of a daemon that comes to the cluster through a PgBouncer of its own."""
    with PgBouncer({"DB_HOST": cluster.address, "DB_PORT": str(cluster.port), "DB_USER": "admin", "DB_PASSWORD": PASSWORD},
                   sessions=2) as pooler:
        yield pooler.behind()


@pytest.fixture(scope="module", params=["direct", "poolers"])
def both(parts, request):
    """A system that reads from the standby of its database, and both servers. In front of each may be a pooler."""
    with contextlib.ExitStack() as stack:
        primary, standby = stack.enter_context(primary_and_standby())
        settings, port = {}, str(standby.port)
        if request.param == "poolers":
            settings, port = stack.enter_context(way_through(primary)), stack.enter_context(way_through(standby))["DB_PORT"]
        system = stack.enter_context(system_on(parts, primary, DB_READ_HOST="127.0.0.1", DB_READ_PORT=port, **settings))
        system.order_svc().start()
        yield system, primary, standby


def reader(system, daemon=None):
    return Reader(daemon or system.order, system.mint())


def reads(system, outcome):
    return value(system.order, "orders_standby_reads_total", outcome=outcome)


def listed(client):
    """The ids of the first page of orders."""
    return [order["id"] for order in client.get("/orders").json()["orders"]]


def came_along(primary, standby):
    """Waits until the standby has all that the primary has."""
    position = primary.sql("SELECT pg_current_wal_insert_lsn()")
    eventually(lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") == "t")


@contextlib.contextmanager
def behind(primary, standby):
    """Inside, the standby has what it has now, and nothing later."""
    came_along(primary, standby)
    standby.sql("SELECT pg_wal_replay_pause()")
    eventually(lambda: standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        yield
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")


def everything(client, order_id):
    """All ways to read an order."""
    history = client.get(f"/orders/{order_id}/events").json()["events"]
    return client.order(order_id), client.get("/orders").json()["orders"], [event["type"] for event in history]


def test_standby_answers_who_has_seen_no_more_than_it_has(both):
    system, primary, standby = both
    client = reader(system)
    order_id = client.created()
    assert client.seen
    answered = eventually(lambda: client.order(order_id) and reads(system, "answered"))
    came_along(primary, standby)
    order, orders, types = everything(client, order_id)
    assert (orders[0], types) == (order, ["order.created"])
    assert reads(system, "answered") >= answered + 3
    assert reads(system, "failed") == 0


def test_its_answers_are_those_of_the_primary(both):
    system, primary, standby = both
    writer, other = reader(system), system.client()
    for _ in range(3):
        writer.created()
    came_along(primary, standby)
    eventually(lambda: writer.get("/orders").ok and reads(system, "answered"))
    ids = listed(other)
    paths = ["/orders", "/orders?limit=2", "/orders?status=PENDING_SHIPMENT", *(f"/orders/{one}" for one in ids),
             *(f"/orders/{one}/events" for one in ids)]

    def all_by_the_standby():  # one of another database's transactions may have held it back
        before = reads(system, "answered")
        for path in paths:
            assert writer.get(path).content == other.get(path).content
        return reads(system, "answered") == before + len(paths)

    eventually(all_by_the_standby)
    assert_problem(writer.get("/orders/01939d4e-0000-7abc-8000-00000000ffff"), 404, "ORDER_NOT_FOUND")


def test_who_has_seen_more_is_answered_by_the_primary(both):
    system, primary, standby = both
    client = reader(system)
    old = client.created()
    with behind(primary, standby):
        before = reads(system, "answered")
        new = client.created()
        order, orders, types = everything(client, new)
        assert order["status"] == "PENDING_SHIPMENT"
        assert [each["id"] for each in orders][:2] == [new, old]
        assert types == ["order.created"]
        assert reads(system, "answered") == before
        assert client.post(f"/orders/{old}/cancel").status_code == 202
        assert client.order(old)["cancellation"] == "requested"
        assert everything(client, old)[2] == ["order.created", "order.cancel_requested"]
        assert reads(system, "answered") == before
        assert reads(system, "behind") >= 6
    eventually(lambda: client.order(new) and reads(system, "answered"))


def test_who_sends_no_token_is_answered_by_the_primary(both):
    system, primary, standby = both
    with behind(primary, standby):
        before = reads(system, "answered"), reads(system, "behind")
        client = system.client()
        order_id = client.created()
        answer = client.get(f"/orders/{order_id}")
        assert (answer.status_code, len(answer.headers[TOKEN])) == (200, 32)
        assert client.get("/orders").json()["orders"][0]["id"] == order_id
        assert before == (reads(system, "answered"), reads(system, "behind"))


def test_a_token_covers_what_an_answer_of_the_primary_has_shown(both):
    """Somebody else's order was seen; from then on it is always there."""
    system, primary, standby = both
    client, writer = reader(system), system.client()
    client.created()
    with behind(primary, standby):
        new = writer.created()
        token, client.seen = client.seen, None
        assert client.order(new)
        assert client.seen > token
        assert new in listed(client)


def test_a_replay_is_followed_by_its_order(both):
    """Its answer comes from memory or Redis, and the order may be newer than anything the client has seen."""
    system, primary, standby = both
    client = reader(system)
    client.created()
    with behind(primary, standby):
        lost = client.seen
        body = basket()
        order_id = client.created(body, key="the-key")
        client.seen = lost  # the answer did not arrive
        assert client.created(body, key="the-key") == order_id
        assert client.seen > lost
        assert order_id in listed(client)


def test_an_order_that_only_the_primary_has_is_found(both):
    """The client has its id from elsewhere."""
    system, primary, standby = both
    client, writer = reader(system), system.client()
    client.created()
    with behind(primary, standby):
        new = writer.created()
        assert client.order(new)["id"] == new
        assert client.get(f"/orders/{new}/events").json()["events"]


def test_the_id_of_an_event_is_a_token(both):
    system, primary, standby = both
    client, watcher = reader(system), system.client()
    client.created()
    with behind(primary, standby):
        before = reads(system, "answered")
        new = watcher.created()
        event = eventually(lambda: [event for event in watcher.get("/events").json()["events"] if event["order_id"] == new])[0]
        client.seen = event["id"]
        assert new in listed(client)
        assert reads(system, "answered") == before


def test_two_standbys_never_go_back(both):
    """The token of what one standby has shown is not good for another that has less."""
    system, primary, standby = both
    with Cluster() as other:
        other.copy(primary).start()
        second = system.order_svc(DB_READ_PORT=str(other.port)).start()
        client, writer = reader(system), system.client()
        client.created()

        def shows_new():
            return new in listed(client)

        with behind(primary, other):
            new = writer.created()
            came_along(primary, standby)
            before = reads(system, "answered")
            eventually(lambda: shows_new() and reads(system, "answered") > before)
            client.url = second.url
            assert shows_new()
        second.stop()


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_without_the_standby_the_primary_answers(both, how):
    system, _, standby = both
    client = reader(system)
    order_id = client.created()
    eventually(lambda: client.order(order_id) and reads(system, "answered"))
    before = system.order.log_text().count("standby is unavailable")
    getattr(standby, how)()
    try:
        for _ in range(30):
            assert client.order(order_id)["id"] == order_id
            assert client.get("/orders").status_code == 200
        outages = [line["body"] for line in system.order.log_lines() if line["body"].startswith("standby is unavailable")]
        assert len(outages) == before + 1
        assert system.order.is_ready()
    finally:
        if how == "freeze":
            standby.thaw()
        else:
            standby.process = None
            standby.start()
    before = reads(system, "answered")
    eventually(lambda: client.order(order_id) and reads(system, "answered") > before)


def test_after_a_failover_tokens_are_still_good(parts, pair):  # noqa: F811
    """The standby becomes the primary. Orders that were answered before are there, and new ones never vanish."""
    primary, standby = pair
    hosts = {"DB_READ_HOST": "127.0.0.1,127.0.0.1", "DB_READ_PORT": f"{standby.port},{primary.port}"}
    with system_on(parts, primary, standby, **hosts) as system:
        system.order_svc().start()
        client = reader(system)
        old = client.created()
        came_along(primary, standby)
        primary.kill()
        standby.promote()
        eventually(lambda: client.create().status_code == 201)
        new = client.created()
        assert {old, new} <= set(listed(client))
        assert client.order(old) and client.order(new)


def test_a_token_that_is_none_is_refused(both):
    system, _, _ = both
    client = system.client()
    order_id = client.created()
    for path in ("/orders", f"/orders/{order_id}", f"/orders/{order_id}/events"):
        for bad in ("", "x", "0" * 31, "G" * 32, "0" * 33):
            problem = client.get(path, headers={TOKEN: bad})
            assert_problem(problem, 400, "VALIDATION_ERROR")
            assert TOKEN in problem.json()["message"]


def test_without_the_setting_there_are_no_tokens(parts):
    with System(parts) as system:
        system.order_svc().start()
        client = system.client()
        answer = client.create()
        assert TOKEN not in answer.headers
        order_id = answer.json()["order_id"]
        answer = client.get(f"/orders/{order_id}", headers={TOKEN: "0" * 32})
        assert (answer.status_code, TOKEN in answer.headers) == (200, False)
