"""docs/asyncapi.yaml is valid, names the queues of the settings, and is true of the messages that the daemons send."""

import hashlib
import json
import re
import uuid

import jsonschema
import pytest
import yaml
from harness import ROOT, System, eventually, http, order_created, status_update
from receiver import Receiver
from test_openapi import nodes
from test_streams import Follower

DOCUMENT = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
OPENAPI = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
QUEUES = {channel["x-setting"]: channel for channel in DOCUMENT["channels"].values() if "x-setting" in channel}
STREAMS = {channel["address"]: channel for channel in DOCUMENT["channels"].values()
           if "x-setting" not in channel and channel["address"]}


def target(reference):
    node = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def resolved(node):
    while "$ref" in node:
        node = target(node["$ref"])
    return node


def messages_of(channel):
    return [resolved(message) for message in channel["messages"].values()]


# The document itself

def test_document_is_valid():
    """By the schema that the AsyncAPI Initiative publishes."""
    schema = json.loads((ROOT / "tests/data/asyncapi-3.0.0.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(DOCUMENT | {"channels": {"x y": {"address": 1}}})], "it accepts all"
    assert not [f"{error.json_path}: {error.message}" for error in validator.iter_errors(DOCUMENT)]


def test_references_lead_somewhere_and_all_is_used():
    references = {node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node}
    for reference in references:
        assert resolved(target(reference)) is not None
    for kind in "messages", "schemas":
        unused = {name for name in DOCUMENT["components"][kind] if f"#/components/{kind}/{name}" not in references}
        assert not unused
    for name, operation in DOCUMENT["operations"].items():
        assert operation["tags"][0]["name"] in ("order-svc", "delivery-svc"), name
    assert {operation["channel"]["$ref"].split("/")[-1] for operation in DOCUMENT["operations"].values()} == DOCUMENT["channels"].keys()


def test_document_has_the_version_of_the_other_one():
    assert DOCUMENT["info"]["version"] == OPENAPI["info"]["version"]


def test_what_both_documents_have_is_the_same():
    shared = DOCUMENT["components"]["schemas"].keys() & OPENAPI["components"]["schemas"].keys() - {"Name"}
    assert {"Event", "EventId", "EventType", "OrderStatus", "Time"} <= shared
    for name in shared:
        assert DOCUMENT["components"]["schemas"][name] == OPENAPI["components"]["schemas"][name], name


def test_queues_are_those_of_the_settings():
    knobs = (ROOT / "src/common/config/knobs.c").read_text()
    defaults = dict(re.findall(r'\{"(\w+)", CONFIG_\w+, \w+,\s*"([^"]*)"', knobs))
    assert QUEUES.keys() == {name for name in defaults if re.search(r"_(QUEUE|DLQ)$", name)}
    for setting, channel in QUEUES.items():
        assert channel["address"] == defaults[setting]
        if setting.endswith("_DLQ"):
            continue
        binding, dead = channel["bindings"]["sqs"], defaults[setting.replace("QUEUE", "DLQ")]
        policy = {"deadLetterQueue": {"name": dead}, "maxReceiveCount": int(defaults["SQS_MAX_RECEIVE_COUNT"])}
        assert binding["queue"] == {"name": channel["address"], "fifoQueue": True, "redrivePolicy": policy}
        assert binding["deadLetterQueue"]["name"] == dead


def test_streams_are_the_routes_and_the_types_of_the_code():
    assert STREAMS.keys() == {path for path, item in OPENAPI["paths"].items()
                              if item.get("get", {}).get("responses", {}).get("200") == {"$ref": "#/components/responses/Events"}}
    types = re.findall(r'\[ORDER_EVENT_\w+\] = "([^"]+)"', (ROOT / "src/order/order_event.c").read_text())
    assert len(types) >= 4, "the types are not read any more"
    for channel in STREAMS.values():
        assert sorted(message["name"] for message in messages_of(channel)) == sorted([*types, "resync"])


# What is sent. A validator that is stricter than the document: a message holds nothing that is not listed.

def strict(schema):
    schema = schema | {"components": json.loads(json.dumps(DOCUMENT["components"]))}
    for node in nodes(schema["components"]["schemas"]):
        if "properties" in node:
            node.setdefault("additionalProperties", False)
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())


def assert_fits(message, headers, payload):
    strict(message["payload"]).validate(payload)
    jsonschema.Draft7Validator(message["headers"] | {"components": DOCUMENT["components"]}).validate(headers)
    assert headers.keys() <= members(message["headers"])


def members(schema):
    """The names that a schema lists, with those of its parts."""
    schema = resolved(schema)
    return schema.get("properties", {}).keys() | {name for part in schema.get("allOf", []) for name in members(part)}


def expression(text, payload):
    """What x-group or x-deduplication makes of a message."""
    of, name = re.fullmatch(r"(sha256)?\(?\$message\.payload#/(\w+)\)?", text).groups()
    value = payload[name]
    return str(uuid.UUID(bytes=hashlib.sha256(value.encode()).digest()[:16])) if of else value


def assert_documented(knob, sent):
    """A message of SQS is one of those that the channel of the queue lists; returns its eventType."""
    body = json.loads(sent["Body"])
    message = next(one for one in messages_of(QUEUES[knob])
                   if resolved(one["payload"])["properties"]["eventType"]["const"] == body["eventType"])
    attributes = {name: value["StringValue"] for name, value in sent["MessageAttributes"].items()}
    assert_fits(message, attributes, body)
    assert {value["DataType"] for value in sent["MessageAttributes"].values()} == {"String"}
    assert sent["Attributes"]["MessageGroupId"] == expression(message["x-group"], body)
    assert sent["Attributes"]["MessageDeduplicationId"] == expression(message["x-deduplication"], body)
    missing = members(message["payload"]) - body.keys() - {"version", "status", "trackingNumber", "carrier"}
    assert not missing, f"documented, but not sent: {missing}"
    return body["eventType"]


def test_messages_of_order_svc(parts):
    with System(parts) as system:
        order = system.order_svc().start()
        api = system.client()
        order_id = api.created()
        assert api.post(f"/orders/{order_id}/cancel", {}).status_code == 202
        customer = api.order(order_id)["customer_id"]
        assert order.command("erase", "--customer", customer).returncode == 0
        eventually(lambda: system.has_queue("ORDERS_QUEUE"))
        orders = system.receive("ORDERS_QUEUE", 3)
        assert [assert_documented("ORDERS_QUEUE", sent) for sent in orders] == \
            ["ORDER_CREATED", "ORDER_CANCEL_REQUESTED", "CUSTOMER_ERASED"]
        secret = ("demo-client", "demo-secret")
        token = http("POST", api.url + "/auth/token", auth=secret, data={"grant_type": "client_credentials"}).json()["access_token"]
        assert http("POST", api.url + "/auth/revoke", auth=secret, data={"token": token}).status_code == 200
        assert order.command("client", "add", "a-shop", "order:read").returncode == 0
        assert order.command("client", "disable", "a-shop").returncode == 0
        eventually(lambda: system.has_queue("REVOCATIONS_QUEUE"))
        revoked = system.receive("REVOCATIONS_QUEUE", 2)
        assert {assert_documented("REVOCATIONS_QUEUE", sent) for sent in revoked} == {"TOKEN_REVOKED", "CLIENT_TOKENS_REVOKED"}


def test_repeated_message_of_an_order_that_has_left(parts):
    with System(parts, RECONCILE_AFTER="1s") as system:
        system.order_svc().start()
        order_id = system.client().created()
        eventually(lambda: system.has_queue("DELIVERY_STATUS_QUEUE"))
        system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, trackingNumber="T-1", carrier="C"), group=order_id)
        sent = system.take("ORDERS_QUEUE", lambda got: got and "status" in json.loads(got[-1]["Body"]))[-1]
        assert assert_documented("ORDERS_QUEUE", sent) == "ORDER_CREATED"
        assert json.loads(sent["Body"]).items() >= {"status": "SHIPPED", "trackingNumber": "T-1", "carrier": "C"}.items()


def test_messages_of_delivery_svc(parts):
    with System(parts) as system:
        system.delivery_svc().start()
        eventually(lambda: system.has_queue("ORDERS_QUEUE") and system.has_queue("DELIVERY_STATUS_QUEUE"))
        system.send("ORDERS_QUEUE", order_created(version=1), correlationId="of-this-test")
        sent = system.receive("DELIVERY_STATUS_QUEUE", 2)
        assert {assert_documented("DELIVERY_STATUS_QUEUE", one) for one in sent} == {"ORDER_STATUS_UPDATE"}
        assert [one["MessageAttributes"]["correlationId"]["StringValue"] for one in sent] == ["of-this-test"] * 2
        last = json.loads(sent[-1]["Body"])
        assert last["currentStatus"] == "DELIVERED" and {"trackingNumber", "carrier"} <= last.keys()


@pytest.mark.parametrize("queue, body, reason", [
    ("ORDERS_QUEUE", "no JSON", "expected"),
    ("DELIVERY_STATUS_QUEUE", status_update(str(uuid.uuid4())), "there is no such order"),
    ("REVOCATIONS_QUEUE", {"eventType": "TOKEN_REVOKED", "tokenId": "x"}, "tokenId is not a UUID")])
def test_dead_letters(system, queue, body, reason):
    dead = queue.replace("QUEUE", "DLQ")
    (message,) = messages_of(QUEUES[dead])
    eventually(lambda: system.has_queue(queue) and system.has_queue(dead))
    system.send(queue, body, group="its-group", correlationId="of-this-test")
    (letter,) = system.receive(dead, 1)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert_fits(message, attributes, letter["Body"])
    assert letter["Body"] == (body if isinstance(body, str) else json.dumps(body))
    assert letter["Attributes"]["MessageGroupId"] == "its-group"
    assert attributes["correlationId"] == "of-this-test" and reason in attributes["reason"]


def assert_shown(path, stream):
    """What a stream has shown is documented; returns the kinds."""
    kinds = {message["name"]: message for message in messages_of(STREAMS[path])}
    for id, kind, data in list(stream.events):
        assert_fits(kinds[kind], {"id": id, "event": kind}, data)
        assert kind == "resync" or (data["id"], data["type"]) == (id, kind)
    return {kind for _, kind, _ in stream.events}


def test_streams(by_hand):
    api, deliveries = by_hand.client(), by_hand.deliveries()
    feed = Follower(api)
    order_id = api.created()
    history = Follower(api, f"/orders/{order_id}/events")
    shipment = eventually(lambda: deliveries.shipment(order_id))["id"]
    for status, fields in [("SHIPPED", {"tracking_number": "T-1", "carrier": "DHL"}), ("SHIPPED", {"tracking_number": "T-2"}),
                           ("DELIVERED", {})]:
        assert deliveries.move(shipment, status, **fields).status_code == 200
    progress = {"order.created", "order.shipped", "order.tracking_changed", "order.delivered"}
    for stream in feed, history:
        eventually(stream.has_delivered)
    assert assert_shown("/orders/{id}/events", history) == progress
    for too_late in False, True:
        order_id = api.created()
        shipment = eventually(lambda: deliveries.shipment(order_id))["id"]
        if too_late:
            by_hand.query("UPDATE shipments SET status = 'SHIPPED' WHERE id = %s", shipment)
        assert api.post(f"/orders/{order_id}/cancel", {"reason": "late"}).status_code == 202
        eventually(lambda: api.order(order_id)["cancellation"] != "requested")
    cancelling = {"order.cancel_requested", "order.cancelled", "order.cancel_refused"}
    eventually(lambda: assert_shown("/events", feed) == progress | cancelling)
    for stream in feed, history:
        stream.close()


def test_webhooks(parts):
    kinds = {message["name"]: message for message in messages_of(DOCUMENT["channels"]["webhook"])}
    with Receiver() as receiver, System(parts, WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8") as system:
        api = system.start().client(scope="webhook:manage order:create order:read")
        hook = api.post("/webhooks", {"url": receiver.url}).json()
        assert api.post(f"/webhooks/{hook['id']}/ping").status_code == 202
        order_id = api.created()
        eventually(lambda: any(request.event["type"] == "order.delivered" for request in receiver.of(order_id)))
        assert api.post(f"/webhooks/{hook['id']}/rotate").status_code == 200
        assert api.post(f"/webhooks/{hook['id']}/ping").status_code == 202
        eventually(lambda: len(receiver.got) == len(receiver.of(order_id)) + 2)
        for request in receiver.got:
            headers = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("webhook-")}
            assert_fits(kinds["webhook.ping" if request.event["type"] == "webhook.ping" else "event"], headers, request.event)


def test_resync(parts):
    with System(parts) as system:
        order = system.order_svc()
        assert order.command("--migrate").returncode == 0
        system.query("UPDATE order_event_floor SET epoch = 60, xid = 9, n = 1")
        order.start()
        stream = Follower(system.client(), last=f"{60:08x}{8:016x}{1:08x}")
        eventually(lambda: stream.events)
        assert assert_shown("/events", stream) == {"resync"}
        stream.close()
