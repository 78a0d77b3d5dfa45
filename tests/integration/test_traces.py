"""Distributed traces, as a collector sees them: one order is one trace, and no collector holds anybody up."""

import collections
import contextlib
import http.server
import re
import socket
import threading
import uuid

import pytest
import yaml
from harness import ROOT, System, at_once, basket, eventually, free_port, http as http_request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire

PARENT = "00-{}-b7ad6b7169203331-01"
KINDS = Wire.SpanKind


class Span:
    """A span that arrived."""

    def __init__(self, wire, resource, scope):
        self.trace, self.id, self.parent = wire.trace_id.hex(), wire.span_id.hex(), wire.parent_span_id.hex()
        self.name, self.kind, self.state = wire.name, wire.kind, wire.trace_state
        self.start, self.end, self.flags = wire.start_time_unix_nano, wire.end_time_unix_nano, wire.flags
        self.attributes, self.resource, self.scope = values(wire.attributes), values(resource.attributes), scope.name
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in wire.links]
        self.failed = wire.status.code == 2
        self.service = self.resource["service.name"]

    def __repr__(self):
        return f"{self.service}: {self.name} {self.attributes}"


def values(attributes):
    assert len({pair.key for pair in attributes}) == len(attributes), "a key is there twice"
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Collector:
    """An HTTP server that takes OTLP. answer: a status, or "hang"."""

    def __init__(self, answer=200):
        self.answer, self.spans, self.bodies, self.headers, self.lock = answer, [], [], [], threading.Lock()
        self.requests, self.released = 0, threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, self.headers, body)
                if collector.answer == "hang":
                    collector.released.wait()
                    return
                self.send_response(collector.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        assert (path, headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        message = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.requests += 1
            if self.answer == 200:
                self.bodies.append(body)
                self.headers.append(headers)
                self.spans += [Span(wire, resource.resource, scope.scope) for resource in message.resource_spans
                               for scope in resource.scope_spans for wire in scope.spans]

    def of(self, trace):
        with self.lock:
            return [span for span in self.spans if span.trace == trace]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def collecting(answer=200):
    collector = Collector(answer)
    try:
        yield collector
    finally:
        collector.close()


@pytest.fixture(scope="module")
def collector():
    with collecting() as one:
        yield one


@pytest.fixture(scope="module")
def traced(parts, collector):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_EXPORTER_OTLP_HEADERS": "api-key=the%20key%20of%20the%20collector",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=overridden",
                "LOG_LEVEL": "debug"}
    with System(parts, **settings) as system:
        system.order_svc(OTEL_SERVICE_NAME="orders").start()
        system.delivery_svc(OTEL_RESOURCE_ATTRIBUTES=settings["OTEL_RESOURCE_ATTRIBUTES"] + ",service.instance.id=pod-7").start()
        yield system


class Journey:
    """One order from its request to DELIVERED, and its trace."""

    def __init__(self, system, collector):
        self.collector, self.trace = collector, uuid.uuid4().hex
        self.request_id = f"request-{self.trace[:8]}"
        self.customer = f"customer-{uuid.uuid4()}"
        headers = {"traceparent": PARENT.format(self.trace), "tracestate": "shop=1, other=2",
                   "X-Request-Id": self.request_id}
        self.api = system.client()
        self.order_id = self.api.created(basket(self.customer), headers=headers)
        eventually(lambda: self.api.order(self.order_id)["status"] == "DELIVERED")
        self.orders, self.status = system.settings["ORDERS_QUEUE"], system.settings["DELIVERY_STATUS_QUEUE"]
        eventually(self.is_whole, what="the whole trace")
        self.spans = collector.of(self.trace)

    def is_whole(self):
        """Both daemons send what they have, each at its own time."""
        wanted = {"POST /orders": 1, f"process {self.orders}": 1, "carrier step": 3, f"send {self.status}": 2,
                  f"process {self.status}": 2}
        return all(len(self.named(name)) == count for name, count in wanted.items()) and self.updated() == {
            span.id for span in self.named(f"process {self.status}")}

    def updated(self):
        """The ids of the spans whose message an "update orders" applied: of one message, or of both."""
        updates = self.named("update orders")
        return {span.parent for span in updates} | {link[1] for span in updates for link in span.links}

    def named(self, name):
        spans = sorted(self.collector.of(self.trace), key=lambda span: span.start)
        return [span for span in spans if span.name == name]


@pytest.fixture(scope="module")
def journey(traced, collector):
    return Journey(traced, collector)


def one(spans):
    assert len(spans) == 1, spans
    return spans[0]


def under(parent, spans):
    return [span for span in spans if span.parent == parent.id]


def test_one_order_is_one_trace(journey):
    """The whole tree: every span has the right parent, kind and service."""
    tree = collections.Counter()
    ids = {span.id: span for span in journey.spans}
    for span in journey.spans:
        if span.name == "update orders" and span.links:
            tree["orders", "CLIENT", "update orders", f"process {journey.status}"] += 1  # one for both messages
        parent = ids[span.parent].name if span.parent in ids else span.parent
        tree[(span.service, KINDS.Name(span.kind)[len("SPAN_KIND_"):], span.name, parent)] += 1
    send, process = f"send {journey.orders}", f"process {journey.orders}"
    send_status, process_status = f"send {journey.status}", f"process {journey.status}"
    assert tree == {
        ("orders", "SERVER", "POST /orders", "b7ad6b7169203331"): 1,
        ("orders", "INTERNAL", "wait for a worker", "POST /orders"): 1,
        ("orders", "CLIENT", "batch POST /orders", "POST /orders"): 1,
        ("orders", "PRODUCER", send, "POST /orders"): 1,
        ("overridden", "CONSUMER", process, send): 1,
        ("overridden", "CLIENT", "create shipments", process): 1,
        ("overridden", "INTERNAL", "carrier step", process): 3,
        ("overridden", "PRODUCER", send_status, "carrier step"): 2,
        ("orders", "CONSUMER", process_status, send_status): 2,
        ("orders", "CLIENT", "update orders", process_status): 2,
    }


def test_times_and_states_of_spans(journey):
    for span in journey.spans:
        assert span.start <= span.end, span
        assert span.state == "shop=1,other=2", span
        assert not span.failed and "error.type" not in span.attributes, span
        remote = span.kind in (KINDS.SPAN_KIND_SERVER, KINDS.SPAN_KIND_CONSUMER)
        assert span.flags == (0x301 if remote else 0x101), span


def test_attributes(journey):
    assert one(journey.named("POST /orders")).attributes == {
        "http.request.method": "POST", "http.route": "/orders", "url.scheme": "http",
        "http.response.status_code": 201, "network.protocol.version": "1.1"}
    for name in ("batch POST /orders", "create shipments"):
        assert journey.named(name)[0].attributes == {"db.system.name": "postgresql"}
    for operation in ("send", "process"):
        for queue in (journey.orders, journey.status):
            for span in journey.named(f"{operation} {queue}"):
                expected = {"messaging.system": "aws_sqs", "messaging.operation.name": operation,
                            "messaging.operation.type": operation, "messaging.destination.name": queue}
                if operation == "send":
                    expected["messaging.batch.message_count"] = 1
                assert span.attributes["messaging.message.id"]
                assert span.attributes == expected | {"messaging.message.id": span.attributes["messaging.message.id"]}
    steps = [(span.attributes["shipment.status.previous"], span.attributes["shipment.status"])
             for span in journey.named("carrier step")]
    assert steps == [("PROCESSING", "PROCESSING"), ("PROCESSING", "SHIPPED"), ("SHIPPED", "DELIVERED")]


def test_resources(journey):
    for span in journey.spans:
        assert span.scope == "order-processing"
        assert span.resource["deployment.environment.name"] == "test"
        assert {"service.version", "service.instance.id", "host.name", "process.pid"} <= span.resource.keys()
    assert len({span.resource["service.instance.id"] for span in journey.spans}) == 2


def test_a_receive_is_linked_with_its_messages(journey):
    """It began before anybody knew of the message, so it is a trace of its own."""
    process, send = (one(journey.named(f"{what} {journey.orders}")) for what in ("process", "send"))
    receive = one([span for span in journey.collector.spans if (send.trace, send.id) in span.links])
    assert (receive.name, receive.kind) == (f"receive {journey.orders}", KINDS.SPAN_KIND_CLIENT)
    assert (receive.parent, receive.service) == ("", "overridden")
    assert receive.attributes["messaging.batch.message_count"] == len(receive.links)
    assert process.links == [(receive.trace, receive.id)]


def test_spans_tell_nothing_of_customers_and_secrets(journey, collector):
    assert collector.bodies
    secrets = [journey.customer, journey.order_id, "laptop-001", "mouse-001", journey.api.token, journey.request_id,
               "eyJ", "demo-client", "dev-secret-key", "the key of the collector", "999.99"]
    for body in collector.bodies:
        assert not [secret for secret in secrets if secret.encode() in body]


def test_the_collector_gets_the_headers_of_the_setting(journey, collector):
    assert {headers["api-key"] for headers in collector.headers} == {"the key of the collector"}


def test_log_lines_of_a_request_have_the_ids_of_its_span(journey, traced):
    server = one(journey.named("POST /orders"))
    lines = [line for line in traced.order.log_lines() if line.get("request_id") == journey.request_id]
    told = {(line["trace_id"], line["span_id"], line["trace_flags"]) for line in lines}
    assert told == {(server.trace, server.id, "01")}
    others = [line for line in traced.order.log_lines() if "request_id" not in line]
    assert others and not [line for line in others if "trace_id" in line and line["trace_id"] != server.trace]


def test_log_lines_and_spans_name_their_process_alike(journey, traced):
    process = one(journey.named(f"process {journey.orders}"))
    assert (process.resource["service.name"], process.resource["service.instance.id"]) == ("overridden", "pod-7")
    for daemon, span in (traced.order, one(journey.named("POST /orders"))), (traced.delivery, process):
        for name in "service.name", "service.version", "service.instance.id":
            assert {line[name] for line in daemon.log_lines()} == {span.resource[name]}


def test_the_recipe_of_a_collector_reads_each_member_of_a_line(journey, traced):
    """docs/OBSERVABILITY.md has operators of the filelog receiver; a real collector was seen to take them."""
    page = (ROOT / "docs/OBSERVABILITY.md").read_text()
    operators = yaml.safe_load(re.search(r"^```yaml\n(receivers:.*?)^```", page, re.S | re.M)[1])["receivers"]["filelog"]["operators"]
    read = set(re.findall(r"attributes(?:\.(\w+)|\[\"([\w.]+)\"\])", str(operators)))
    line = next(line for line in traced.order.log_lines() if line.get("request_id") == journey.request_id)
    assert {a or b for a, b in read} | {"request_id"} == line.keys()


def answered(traced, collector, path, **options):
    """The server span of a GET."""
    trace = uuid.uuid4().hex
    response = traced.client().get(path, headers={"traceparent": PARENT.format(trace)}, **options)
    return response, one(eventually(lambda: [s for s in collector.of(trace) if s.kind == KINDS.SPAN_KIND_SERVER]))


def test_a_client_error_is_no_error_of_the_server(traced, collector):
    response, span = answered(traced, collector, f"/orders/{uuid.uuid4()}")
    assert response.status_code == span.attributes["http.response.status_code"] == 404
    assert span.name == "GET /orders/:id" and not span.failed and "error.type" not in span.attributes


def test_a_path_is_never_in_a_span(traced, collector):
    response, span = answered(traced, collector, "/my-secret-path/x?token=my-secret-query")
    assert response.status_code == 404
    assert (span.name, "http.route" in span.attributes) == ("GET", False)
    assert not [body for body in collector.bodies if b"my-secret" in body]


def test_an_unknown_method_is_named_other(traced, collector):
    trace = uuid.uuid4().hex
    http_request("BREW", traced.order.url + "/orders", headers={"traceparent": PARENT.format(trace)})
    span, = eventually(lambda: collector.of(trace))
    assert (span.name.split()[0], span.attributes["http.request.method"]) == ("HTTP", "_OTHER")


def test_probes_are_traced_only_when_their_caller_is(traced, collector):
    traced.client().get("/health/live")
    _, span = answered(traced, collector, "/health/live")
    assert span.name == "GET /health/live"
    assert [s.parent for s in collector.spans if s.name.startswith("GET /health")] == ["b7ad6b7169203331"]


def test_a_batch_is_one_span_that_is_linked_with_its_requests(traced, collector):
    api = traced.client()

    def large():
        at_once([lambda: api.created() for _ in range(24)])
        servers = {(s.trace, s.id): s for s in collector.spans if s.name == "POST /orders"}
        return [(s, servers) for s in collector.spans if s.attributes.get("db.operation.batch.size", 0) > 1
                and s.name == "batch POST /orders" and servers.keys() >= {*s.links}]

    batch, servers = eventually(large)[0]
    members = [servers[link] for link in batch.links]
    assert len(members) == batch.attributes["db.operation.batch.size"] - 1
    for member in members:
        assert member.links == [(batch.trace, batch.id)] and member.trace != batch.trace
    first, = (s for s in servers.values() if s.id == batch.parent)
    assert first.trace == batch.trace and not first.links


def test_a_change_by_hand_belongs_to_the_order_and_is_linked_with_its_request(parts):
    with collecting() as collector, System(parts, CARRIER_SIMULATION="false",
                                           OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.url + "/v1/traces") as system:
        system.start()
        trace, hand = uuid.uuid4().hex, uuid.uuid4().hex
        order_id = system.client().created(headers={"traceparent": PARENT.format(trace)})
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        answer = system.deliveries().post(f"/delivery/shipment/{shipment['id']}/status", {"status": "SHIPPED"},
                                          headers={"traceparent": PARENT.format(hand)})
        assert answer.status_code == 200
        eventually(lambda: [s for s in collector.of(trace) if s.name == "update orders"])
        server, = eventually(lambda: [s for s in collector.of(hand) if s.kind == KINDS.SPAN_KIND_SERVER])
        change, = (s for s in collector.of(trace) if s.name == "change shipment")
        assert (server.name, change.links) == ("POST /delivery/shipment/:shipmentId/status", [(server.trace, server.id)])
        assert {s.service for s in collector.spans} == {"order-service", "delivery-service"}


def test_a_message_that_cannot_succeed_is_a_span_that_failed(parts):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.delivery_svc().start()
        eventually(lambda: system.has_queue("ORDERS_QUEUE"))
        trace = uuid.uuid4().hex
        system.send("ORDERS_QUEUE", "not an event", traceparent=PARENT.format(trace))
        process, = eventually(lambda: [s for s in collector.of(trace) if s.kind == KINDS.SPAN_KIND_CONSUMER])
        assert process.failed and process.attributes["error.type"] == "dead_letter"
        lines = eventually(lambda: [line for line in system.delivery.log_lines() if "dead letter" in line["body"]])
        assert {(line["trace_id"], line["span_id"]) for line in lines} == {(trace, process.id)}


def test_a_503_is_an_error_of_the_server(parts):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.order_svc(DB_PORT=str(free_port()), APP_ENV="production", JWT_SECRET="x" * 40,
                         DEMO_CLIENTS="false").launch()
        eventually(system.order.is_live)
        trace = uuid.uuid4().hex
        headers = {"traceparent": PARENT.format(trace), "Authorization": "Basic YTpi"}
        answer = http_request("POST", system.order.url + "/auth/token", headers=headers,
                              data={"grant_type": "client_credentials"})
        assert answer.status_code == 503
        span, = eventually(lambda: [s for s in collector.of(trace) if s.kind == KINDS.SPAN_KIND_SERVER])
        assert span.failed and span.attributes["error.type"] == "503"


# Who decides what is recorded

def test_a_caller_that_does_not_record_is_respected(parts):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.order_svc().start()
        sent = PARENT.format(uuid.uuid4().hex)[:-2] + "00"
        system.client().created(headers={"traceparent": sent, "tracestate": "a=1"})
        message, = system.receive("ORDERS_QUEUE", 1)
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        assert (attributes["traceparent"], attributes["tracestate"]) == (sent, "a=1")
        system.order.stop()  # sends what is left
        assert not collector.of(sent.split("-")[1])


@pytest.mark.parametrize("settings", [
    {"OTEL_TRACES_SAMPLER_ARG": "0"}, {"OTEL_TRACES_SAMPLER": "always_off"}, {"OTEL_SDK_DISABLED": "true"}],
    ids=["ratio", "off", "disabled"])
def test_nothing_is_recorded_when_the_sampler_says_so(parts, settings):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **settings) as system:
        system.start()
        order_id = system.client().created()
        eventually(lambda: system.client().order(order_id)["status"] == "DELIVERED")
        for daemon in system.daemons:
            daemon.stop()
        assert (collector.requests, collector.spans) == (0, [])


def test_an_invalid_traceparent_begins_a_new_trace_without_its_tracestate(parts):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.order_svc().start()
        system.client().created(headers={"traceparent": PARENT.format("A" * 32), "tracestate": "a=1"})
        span, = eventually(lambda: [s for s in collector.spans if s.name == "POST /orders"])
        assert (span.parent, span.state, span.flags) == ("", "", 0x101)


# A collector that is not well

def create_orders(system, count):
    api = system.client()
    for _ in range(count):
        api.created()


@pytest.mark.parametrize("answer", [500, 503, "hang", "dead"])
def test_a_collector_that_is_not_well_harms_nobody(parts, answer):
    with collecting(answer) as collector:
        url = f"http://127.0.0.1:{free_port()}" if answer == "dead" else collector.url
        with System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="500") as system:
            system.start()
            order_id = system.client().created()
            eventually(lambda: system.client().order(order_id)["status"] == "DELIVERED")
            away = "trace collector is unavailable"
            for daemon in system.daemons:
                eventually(lambda: away in daemon.log_text(), what="the line about the outage")
            create_orders(system, 30)
            for daemon in system.daemons:
                daemon.stop()
                log = daemon.log_text()
                assert log.count(away) == 1
                assert "span(s) did not reach the trace collector" in log


def test_spans_wait_for_a_collector_that_comes_back(parts):
    with collecting(503) as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.order_svc().start()
        trace = uuid.uuid4().hex
        system.client().created(headers={"traceparent": PARENT.format(trace)})
        eventually(lambda: collector.requests >= 2)
        collector.answer = 200
        eventually(lambda: [s for s in collector.of(trace) if s.name == "POST /orders"])
        eventually(lambda: "trace collector is available again" in system.order.log_text())
        system.order.stop()
        assert "did not reach" not in system.order.log_text()


def test_a_caller_that_hangs_up_leaves_no_span_open(parts):
    with collecting() as collector, System(parts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as system:
        system.order_svc().start()
        trace = uuid.uuid4().hex
        with socket.create_connection(("127.0.0.1", system.order.port)) as client:
            client.sendall(f"POST /orders HTTP/1.1\r\nHost: localhost\r\ntraceparent: {PARENT.format(trace)}\r\n"
                           f"Authorization: Bearer {system.mint()}\r\nContent-Type: application/json\r\n"
                           "Content-Length: 100\r\n\r\n{".encode())
        span, = eventually(lambda: collector.of(trace))
        assert (span.name, span.failed, span.attributes["error.type"]) == ("POST /orders", True, "disconnected")
        assert "http.response.status_code" not in span.attributes
