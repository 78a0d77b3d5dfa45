"""One Idempotency-Key, one order: replays, reuse, races, and life without Redis."""

import contextlib
import threading
import time
import uuid

import pytest
from harness import WAITING, System, assert_problem, at_once, basket, eventually, free_port


@pytest.fixture
def api(by_hand):
    return by_hand.client()


def key():
    return str(uuid.uuid4())


def orders_of(system, customer):
    return [str(row[0]) for row in system.query("SELECT id FROM orders WHERE customer_id = %s ORDER BY id", customer)]


def assert_replay(replay, first):
    assert replay.status_code == first.status_code == 201
    assert replay.content == first.content
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.headers["Location"] == first.headers["Location"]


def assert_new(response):
    assert response.status_code == 201, response.text
    assert "Idempotent-Replayed" not in response.headers


def test_replay_is_the_first_answer_byte_for_byte(by_hand, api):
    body, k = basket(), key()
    first = api.create(body, k)
    assert_new(first)
    for _ in range(3):
        assert_replay(api.create(body, k), first)
    assert orders_of(by_hand, body["customer_id"]) == [first.json()["order_id"]]


def test_replay_is_the_same_after_the_order_has_moved_on(by_hand, api):
    body, k = basket(), key()
    first = api.create(body, k)
    order_id = first.json()["order_id"]
    shipment = eventually(lambda: by_hand.deliveries().shipment(order_id))
    by_hand.deliveries().move(shipment["id"], "SHIPPED")
    eventually(lambda: api.order(order_id)["status"] == "SHIPPED")
    assert_replay(api.create(body, k), first)


@pytest.mark.parametrize("changes", [
    {"customer_id": "somebody-else"}, {"items": [{"product_id": "mouse-001", "quantity": 3, "unit_price": 29.99}]}])
def test_key_with_another_payload_is_422(by_hand, api, changes):
    body, k = basket(), key()
    first = api.create(body, k)
    assert_problem(api.create(body | changes, k), 422, "IDEMPOTENCY_KEY_REUSED")
    by_hand.redis.flushdb()
    assert_problem(api.create(body | changes, k), 422, "IDEMPOTENCY_KEY_REUSED")
    assert_replay(api.create(body, k), first)


def test_same_key_of_another_client_is_its_own(by_hand, api):
    body, k = basket(), key()
    mine, theirs = api.create(body, k), by_hand.client("another-client").create(body, k)
    assert_new(theirs)
    assert mine.json()["order_id"] != theirs.json()["order_id"]


def test_same_basket_under_two_keys_is_two_orders(by_hand, api):
    body = basket()
    assert_new(api.create(body, key()))
    assert_new(api.create(body, key()))
    assert len(orders_of(by_hand, body["customer_id"])) == 2


def test_quoted_and_bare_key_are_one(api):
    body, k = basket(), key()
    first = api.create(body, k)
    assert_replay(api.create(body, f'"{k}"'), first)


@pytest.mark.parametrize("good", ["k", "x" * 255, "~!@#$%^&*()_+{}|:<>?", '"quoted"'])
def test_good_keys_are_taken(by_hand, good):
    api, body = by_hand.client(f"client-{uuid.uuid4()}"), basket()
    first = api.create(body, good)
    assert_replay(api.create(body, good), first)


@pytest.mark.parametrize("bad", ["", '""', "x" * 256, "a b", "tab\there", "caf\u00e9", '"x" trailing', '"abc', 'a"b'])
def test_bad_keys_are_400_and_create_nothing(by_hand, api, bad):
    body = basket()
    assert_problem(api.create(body, headers={"Idempotency-Key": bad}), 400, "VALIDATION_ERROR")
    assert orders_of(by_hand, body["customer_id"]) == []


def test_refused_order_does_not_use_up_its_key(api):
    body, k = basket(), key()
    assert_problem(api.create(body | {"items": []}, k), 400, "VALIDATION_ERROR")
    assert_new(api.create(body, k))


@pytest.mark.parametrize("with_key", [True, False])
def test_two_hundred_at_once_make_one_order_one_event_one_shipment(parts, with_key):
    with System(parts, CARRIER_SIMULATION="false") as system:
        system.order_svc().start()
        system.order_svc().start()
        body, k = basket(), key() if with_key else None
        clients = [system.client(daemon=daemon) for daemon in system.daemons]
        responses = at_once([lambda api=clients[i % 2]: api.create(body, k) for i in range(200)])
        made = [response for response in responses if response.status_code == 201]
        for response in responses:
            if response.status_code != 201:
                assert_problem(response, 409, "IDEMPOTENCY_CONFLICT")
                assert int(response.headers["Retry-After"]) >= 1
        assert len({response.content for response in made}) == 1
        assert sum("Idempotent-Replayed" not in response.headers for response in made) == 1
        order_id = made[0].json()["order_id"]
        assert orders_of(system, body["customer_id"]) == [order_id]
        assert system.query("SELECT DISTINCT order_id::text FROM order_items") == [(order_id,)]
        eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)])
        assert system.messages_in("ORDERS_QUEUE") == 1
        system.delivery_svc().start()
        eventually(lambda: system.deliveries().shipment(order_id))
        assert system.query("SELECT order_id::text FROM shipments") == [(order_id,)]


def test_replay_survives_the_loss_of_all_of_redis(by_hand, api):
    body, k = basket(), key()
    first = api.create(body, k)
    by_hand.redis.flushdb()
    assert_replay(api.create(body, k), first)


def test_replay_without_redis(by_hand, api):
    replica = by_hand.order_svc(REDIS_PORT=str(free_port())).start()
    alone, body, k = by_hand.client(daemon=replica), basket(), key()
    first = alone.create(body, k)
    assert_new(first)
    assert_replay(alone.create(body, k), first)
    assert_replay(api.create(body, k), first)
    replica.stop()


def test_seed_keys_are_seen_in_redis(by_hand, api):
    api.create(basket(), key())
    assert eventually(lambda: by_hand.redis.keys("order:create:*"))


# Without a key: the same client, customer and items

def test_without_a_key_the_same_basket_is_a_replay(by_hand, api):
    body = basket()
    first = api.create(body)
    assert_new(first)
    assert_replay(api.create(body), first)
    by_hand.redis.flushdb()
    assert_replay(api.create(body), first)


def test_without_a_key_the_order_of_items_does_not_count(api):
    body = basket()
    first = api.create(body)
    assert_replay(api.create(body | {"items": body["items"][::-1]}), first)


def test_without_a_key_another_basket_customer_or_client_is_new(by_hand, api):
    body = basket()
    api.create(body)
    assert_new(api.create(body | {"items": body["items"][:1]}))
    assert_new(api.create(body | {"items": body["items"] * 2}))
    assert_new(api.create(basket()))
    assert_new(by_hand.client("another-client").create(body))


def test_with_a_key_the_rule_without_one_does_not_apply(api):
    body = basket()
    assert_new(api.create(body))
    assert_new(api.create(body, key()))


def test_fingerprint_ttl_of_zero_switches_the_rule_off(by_hand):
    replica = by_hand.order_svc(IDEMPOTENCY_FINGERPRINT_TTL="0").start()
    api, body, k = by_hand.client(daemon=replica), basket(), key()
    assert_new(api.create(body))
    assert_new(api.create(body))
    first = api.create(body, k)
    assert_replay(api.create(body, k), first)
    replica.stop()


def test_key_may_be_used_again_when_its_time_is_over(by_hand, api):
    body, k = basket(), key()
    first = api.create(body, k)
    by_hand.redis.flushdb()
    by_hand.query("UPDATE idempotency_keys SET expires_at = now() - interval '1 s' WHERE order_id = %s",
                  first.json()["order_id"])
    second = api.create(body | {"customer_id": f"{body['customer_id']}-2"}, k)
    assert_new(second)
    assert second.json()["order_id"] != first.json()["order_id"]


# A rival that has the key but has not committed

@contextlib.contextmanager
def rival(system, api, k):
    """Holds the key in an open transaction, as another replica would in the middle of its work."""
    probe = api.created(basket(), key="probe-" + k)
    with system.parts.connect(system.name) as connection, connection.transaction(force_rollback=True):
        taken = connection.execute(
            "INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, expires_at)"
            " SELECT client_id, replace(key, 'probe-', ''), fingerprint, order_id, expires_at"
            " FROM idempotency_keys WHERE order_id = %s RETURNING key", (probe,)).fetchall()
        assert taken
        yield


def test_loser_against_an_open_transaction_is_409_and_told_when_to_retry(by_hand, api):
    k = key()
    with rival(by_hand, api, k):
        response = api.create(basket(), k)
        assert_problem(response, 409, "IDEMPOTENCY_CONFLICT")
        assert int(response.headers["Retry-After"]) >= 1
    assert_new(api.create(basket(), k))


def test_loser_takes_over_when_the_rival_gives_up(by_hand, api):
    k, responses = key(), []
    patient = by_hand.order_svc(DB_LOCK_TIMEOUT="60s", DB_STATEMENT_TIMEOUT="60s").start()
    with rival(by_hand, api, k):
        loser = threading.Thread(target=lambda: responses.append(by_hand.client(daemon=patient).create(basket(), k)))
        loser.start()
        eventually(lambda: by_hand.query(WAITING + " AND locktype = 'transactionid'"))
    loser.join()
    patient.stop()
    assert_new(responses[0])


def test_neighbours_of_a_loser_are_not_held_back(by_hand, api):
    k = key()
    with rival(by_hand, api, k):
        loser, *neighbours = at_once([lambda: api.create(basket(), k)] + [lambda: api.create(basket(), key())] * 20)
    assert_problem(loser, 409, "IDEMPOTENCY_CONFLICT")
    for neighbour in neighbours:
        assert_new(neighbour)


# What is wrong is judged one by one

@contextlib.contextmanager
def one_batch(system, calls):
    """Runs the calls as one batch of a replica with one worker and no Redis; yields their answers."""
    replica = system.order_svc(REDIS_PORT=str(free_port()), DB_POOL_SIZE="1").start()
    api = system.client(daemon=replica)
    waiting = WAITING + " AND locktype = 'relation'"
    with system.parts.connect(system.name) as connection:
        with connection.transaction():
            connection.execute("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE")
            first = threading.Thread(target=lambda: api.create(basket(), key()))
            first.start()
            eventually(lambda: system.query(waiting), what="a worker that is busy")
            answers = [None] * len(calls)

            def run(i):
                answers[i] = calls[i](api)

            threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
            for thread in threads:
                thread.start()
            time.sleep(0.5)  # they gather
        for thread in [first, *threads]:
            thread.join()
    yield answers
    replica.stop()


def test_each_of_a_batch_is_judged_by_its_own_payload(by_hand, api):
    body, other, k = basket(), basket(), key()
    first = api.create(body, k)
    with one_batch(by_hand, [lambda a, b=b: a.create(b, k) for b in (other, body, other, body, body)]) as answers:
        for i in (1, 3, 4):
            assert_replay(answers[i], first)
        for i in (0, 2):
            assert_problem(answers[i], 422, "IDEMPOTENCY_KEY_REUSED")


def test_what_is_committed_is_answered_though_the_next_statement_fails(by_hand, api):
    body, k = basket(), key()
    api.create(body, k)
    fresh = basket()
    by_hand.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                  " $$BEGIN RAISE EXCEPTION 'refused by the test'; END$$")
    by_hand.query("CREATE TRIGGER refuse BEFORE DELETE ON idempotency_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse()")
    try:
        with one_batch(by_hand, [lambda a: a.create(fresh, key()), lambda a: a.create(body, k)]) as (made, replay):
            assert_new(made)
            assert replay.status_code >= 500
    finally:
        by_hand.query("DROP TRIGGER refuse ON idempotency_keys")
    assert orders_of(by_hand, fresh["customer_id"]) == [made.json()["order_id"]]


def test_wait_for_a_table_is_not_a_conflict(by_hand, api):
    bodies = [basket() for _ in range(6)]
    with by_hand.parts.connect(by_hand.name) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE INDEX probe ON orders (total_amount)")
        answers = at_once([lambda i=i, b=b: api.create(b, key() if i % 2 else None) for i, b in enumerate(bodies)])
    assert {answer.status_code for answer in answers} == {503}
    for body in bodies:
        assert orders_of(by_hand, body["customer_id"]) == []
        assert_new(api.create(body))


def test_key_whose_order_is_gone_makes_an_order_again(by_hand, api):
    body, k = basket(), key()
    gone = api.created(body, k)
    for table, column in ("order_items", "order_id"), ("orders", "id"):
        by_hand.query(f"DELETE FROM {table} WHERE {column} = %s", gone)
    by_hand.redis.flushdb()
    first = api.create(body, k)
    assert_new(first)
    assert first.json()["order_id"] != gone
    assert_replay(api.create(body, k), first)
