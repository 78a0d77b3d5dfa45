"""QUEUE_SHARDS: the events of orders and their statuses are spread over several queues, and nothing is lost by it."""

import json

from harness import System, eventually

SHARDS = 4
ORDERS = 60


def place(system):
    client = system.client()
    ids = [client.created() for _ in range(ORDERS)]
    eventually(lambda: system.query("SELECT count(*) FROM order_outbox") == [(0,)], what="the relay")
    return ids


def assert_all_delivered(system):
    system.all_delivered()
    assert system.query("SELECT count(*) FROM orders") == [(ORDERS,)]


def redrive(system, url):
    answer = system.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    return json.loads(answer["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"].rsplit(":", 1)[1]


def test_orders_are_spread_and_all_arrive(parts):
    with System(parts, QUEUE_SHARDS=str(SHARDS)) as system:
        system.start()
        system.delivery.stop()
        place(system)
        for knob, dead_letters in (("ORDERS_QUEUE", "ORDERS_DLQ"), ("DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ")):
            urls = system.shard_urls(knob)
            assert len(urls) == SHARDS
            assert {redrive(system, url) for url in urls} == {system.settings[dead_letters]}
        waiting = [system.messages_at(url) for url in system.shard_urls("ORDERS_QUEUE")]
        assert min(waiting) > 0
        assert sum(waiting) == ORDERS
        system.delivery.start()
        assert_all_delivered(system)
        system.drain()
        assert system.messages_in("ORDERS_DLQ") == system.messages_in("DELIVERY_STATUS_DLQ") == 0


def test_poison_in_any_of_them_is_a_dead_letter(parts):
    with System(parts, QUEUE_SHARDS=str(SHARDS)) as system:
        system.start()
        for knob, dead_letters in (("ORDERS_QUEUE", "ORDERS_DLQ"), ("DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ")):
            eventually(lambda k=knob: len(system.shard_urls(k)) == SHARDS, what="all queues")
            for url in system.shard_urls(knob):
                system.sqs.send_message(QueueUrl=url, MessageBody="poison", MessageGroupId="g", MessageDeduplicationId=url)
            eventually(lambda k=dead_letters: system.messages_in(k) == SHARDS, what=f"dead letters of {knob}")


def test_number_of_queues_may_grow(parts):
    """One daemon after the other: what the first one sends into new queues waits for the second one."""
    with System(parts) as system:
        system.start()
        system.delivery.stop()
        place(system)
        assert len(system.shard_urls("ORDERS_QUEUE")) == 1
        system.delivery_svc(QUEUE_SHARDS=str(SHARDS)).start()
        eventually(lambda: all(map(system.messages_at, system.shard_urls("DELIVERY_STATUS_QUEUE")[:-1])), what="new queues in use")
        system.order.stop()
        system.order_svc(QUEUE_SHARDS=str(SHARDS)).start()
        assert_all_delivered(system)
        system.drain()


def test_number_of_queues_may_shrink(parts):
    """What is left in the queues that nobody reads any more is announced again."""
    with System(parts, QUEUE_SHARDS=str(SHARDS), RECONCILE_AFTER="2s") as system:
        system.start()
        system.delivery.stop()
        place(system)
        system.order.stop()
        system.order_svc(QUEUE_SHARDS="1").start()
        system.delivery_svc(QUEUE_SHARDS="1").start()
        assert_all_delivered(system)
