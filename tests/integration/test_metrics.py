"""GET /metrics: what Prometheus makes of it, and whether the numbers are those of what happened."""

import concurrent.futures
import contextlib
import gzip
import socket
import subprocess
import uuid

import pytest
import requests
from harness import PrivateParts, System, basket, eventually, free_port
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
SECRET_WORDS = ("demo-secret", "Bearer", "eyJ")


@pytest.fixture(scope="module")
def system(parts):
    with System(parts) as started:
        started.start()
        yield started


def scrape(daemon, accept=None, **headers):
    answer = requests.get(daemon.metrics_url, headers={"Accept": accept or "text/plain", **headers}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer


def samples(daemon):
    """All samples: {(name, labels): value}."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parse_prometheus(scrape(daemon).text) for sample in family.samples}


def settled(look):
    """The count that ten looks in a row return: a request or a message is counted a moment after its answer."""
    seen = []
    eventually(lambda: seen.append(look()) or len(seen) > 10 and seen[-10] == seen[-1])
    return seen[-1]


def await_count(least, daemon, name, **labels):
    eventually(lambda: (value(daemon, name, **labels) or 0) >= least, what=f"{least} of {name} {labels}")


def value(daemon, name, **labels):
    """The sum of the samples that have these labels; None when there are none."""
    found = [number for (sample, its), number in samples(daemon).items()
             if sample == name and labels.items() <= dict(its).items()]
    return sum(found) if found else None


def deliver(system, orders=5):
    client = system.client()
    ids = [client.created() for _ in range(orders)]
    for order_id in ids:
        eventually(lambda order_id=order_id: client.order(order_id)["status"] == "DELIVERED", what="delivery")
    return client, ids


def test_promtool_finds_nothing(system):
    deliver(system, 2)
    for daemon in system.daemons:
        done = subprocess.run(["promtool", "check", "metrics"], input=scrape(daemon).text, text=True, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr


def test_both_formats_are_understood(system):
    deliver(system, 1)
    for daemon in system.daemons:
        plain = scrape(daemon)
        assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        open_ = scrape(daemon, OPENMETRICS)
        assert open_.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        old = {family.name.removesuffix("_total") for family in parse_prometheus(plain.text)}
        new = {family.name for family in parse_openmetrics(open_.text)}
        assert old == new and len(new) > 30
        assert not [word for word in SECRET_WORDS if word in plain.text + open_.text]


def test_gzip_when_asked(system):
    for accepted in ("gzip", "deflate, gzip;q=0.5"):
        answer = requests.get(system.order.metrics_url, headers={"Accept-Encoding": accepted}, stream=True, timeout=10)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert b"process_cpu_seconds_total" in gzip.decompress(answer.raw.read())
    for accepted in ("identity", "gzip;q=0", "br"):
        assert "Content-Encoding" not in scrape(system.order, **{"Accept-Encoding": accepted}).headers


def test_exemplars_lead_to_the_trace(system):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client = system.client()
    client.created(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    client.created(headers={"traceparent": f"00-{trace[::-1]}-00f067aa0ba902b7-00"})
    text = eventually(lambda: trace in (text := scrape(system.order, OPENMETRICS).text) and text, what="the exemplar")
    assert trace[::-1] not in text
    found = [sample for family in parse_openmetrics(text) for sample in family.samples
             if sample.exemplar and sample.exemplar.labels.get("trace_id") == trace]
    assert found and found[0].labels["http_route"] == "/orders"


def test_requests_are_counted_by_route_and_never_by_path(system):
    client, ids = deliver(system, 1)
    before = settled(lambda: value(system.order, "http_server_request_duration_seconds_count", http_route="/orders/:id",
                                   http_request_method="GET", http_response_status_code="200"))
    for _ in range(7):
        assert client.get(f"/orders/{ids[0]}").status_code == 200
    eventually(lambda: value(system.order, "http_server_request_duration_seconds_count", http_route="/orders/:id",
                             http_request_method="GET", http_response_status_code="200") == before + 7)
    url = system.order.url
    requests.request("BREW", url + "/orders", timeout=5)
    requests.get(url + "/no/such/path/" + ids[0], timeout=5)
    requests.head(url + "/health", timeout=5)
    count = "http_server_request_duration_seconds_count"
    eventually(lambda: value(system.order, count, http_request_method="_OTHER"))
    eventually(lambda: value(system.order, count, http_request_method="GET", http_response_status_code="404"))
    eventually(lambda: value(system.order, count, http_request_method="HEAD", http_route="/health"))
    text = scrape(system.order).text
    assert ids[0] not in text and "BREW" not in text and "no/such/path" not in text and 'http_route="/metrics"' not in text
    eventually(lambda: value(system.order, "http_server_active_requests") == 0)


def test_failures_are_counted_from_zero_on(system):
    for method, route in (("POST", "/orders"), ("GET", "/orders/:id")):
        for status in ("500", "503"):
            assert value(system.order, "http_server_request_duration_seconds_count", http_request_method=method,
                         http_route=route, http_response_status_code=status) is not None


def test_an_order_is_counted_on_its_whole_way(system):
    system.all_delivered()
    settled(lambda: value(system.order, "orders_moved_total"))
    created = value(system.order, "orders_created_total")
    shipments = value(system.delivery, "orders_shipment_delay_seconds_count") or 0
    updates = value(system.order, "orders_status_delay_seconds_count") or 0
    moved = {status: value(system.order, "orders_moved_total", status=status) for status in ("SHIPPED", "DELIVERED")}
    deliver(system, 5)
    assert value(system.order, "orders_created_total") == created + 5
    for status, count in moved.items():
        eventually(lambda s=status, c=count: value(system.order, "orders_moved_total", status=s) == c + 5)
    await_count(shipments + 5, system.delivery, "orders_shipment_delay_seconds_count")
    await_count(updates + 10, system.order, "orders_status_delay_seconds_count")  # SHIPPED and DELIVERED
    queue = system.settings["ORDERS_QUEUE"]
    await_count(created + 5, system.order, "messaging_client_sent_messages_total", messaging_destination_name=queue)
    await_count(created + 5, system.delivery, "messaging_client_consumed_messages_total", messaging_destination_name=queue)
    await_count(created + 5, system.delivery, "orders_messages_total", messaging_destination_name=queue, outcome="done")
    await_count(created + 5, system.order, "orders_outbox_published_total", outbox="order_outbox", outcome="published")
    await_count(1, system.order, "db_client_operation_duration_seconds_count", db_query_summary="order_create")
    await_count(created + 5, system.order, "orders_batch_requests_sum", http_route="/orders", http_request_method="POST")


def test_replays_and_lookups_of_caches_are_told_apart(system):
    client = system.client()
    created = value(system.order, "orders_created_total")
    hits = value(system.order, "orders_cache_lookups_total", cache="receipts", result="hit")
    body = basket()
    for _ in range(3):
        assert client.create(body, key="the-same-key-for-metrics").status_code == 201
    assert value(system.order, "orders_created_total") == created + 1
    assert value(system.order, "orders_cache_lookups_total", cache="receipts", result="hit") > hits


def given_up(daemon, queue, reason):
    return value(daemon, "orders_messages_total", messaging_destination_name=queue, outcome="dead_lettered", reason=reason)


def test_a_status_of_an_unknown_order_is_counted_as_such(system):
    queue, order_id = system.settings["DELIVERY_STATUS_QUEUE"], str(uuid.uuid4())
    before = given_up(system.order, queue, "unknown_order")
    system.send("DELIVERY_STATUS_QUEUE", {
        "eventType": "ORDER_STATUS_UPDATE", "eventId": str(uuid.uuid4()), "orderId": order_id,
        "previousStatus": "PENDING_SHIPMENT", "currentStatus": "SHIPPED", "timestamp": "2026-01-02T03:04:05.678Z"})
    eventually(lambda: given_up(system.order, queue, "unknown_order") == before + 1, what="the dead letter")
    assert given_up(system.order, queue, "malformed") == 0


def test_dead_letters_and_queues_are_counted(system):
    queue = system.settings["ORDERS_QUEUE"]
    before = given_up(system.delivery, queue, "malformed")
    system.send("ORDERS_QUEUE", "poison")
    eventually(lambda: given_up(system.delivery, queue, "malformed") == before + 1, what="the dead letter")
    eventually(lambda: value(system.delivery, "orders_queue_messages", messaging_destination_name=queue,
                             state="dead_letter") == 1, timeout=60, what="the dead letter in the queue's numbers")
    assert value(system.order, "orders_outbox_events", outbox="order_outbox") is not None
    assert value(system.order, "orders_open", status="PENDING_SHIPMENT") is not None
    assert value(system.order, "orders_database_size_bytes") > 1e6


def test_clients_that_wait_to_be_accepted_are_counted(parts):
    """With all connections in use, further ones wait in the kernel. They are served when others go."""
    with System(parts, HTTP_MAX_CONNECTIONS="10", HTTP_THREADS="1", HTTP_TIMEOUT="1h") as system:
        daemon = system.order_svc().start()
        assert value(daemon, "orders_http_waiting_connections") == 0
        assert value(daemon, "orders_http_max_waiting_connections") >= 100
        with contextlib.ExitStack() as clients:
            address = ("127.0.0.1", daemon.port)
            used = [clients.enter_context(socket.create_connection(address)) for _ in range(10)]
            eventually(lambda: value(daemon, "orders_http_connections") == 10)
            waiting = [clients.enter_context(socket.create_connection(address)) for _ in range(7)]
            eventually(lambda: value(daemon, "orders_http_waiting_connections") == 7)
            for one in used:
                one.close()
            eventually(lambda: value(daemon, "orders_http_waiting_connections") == 0)
            for one in waiting:
                one.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert one.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_process_and_its_parts_are_described(system):
    for daemon in system.daemons:
        for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                     "process_threads", "process_start_time_seconds"):
            assert value(daemon, name) > 0, name
        assert value(daemon, "orders_build_info") == 1
        assert value(daemon, "orders_part_up", part="database") == 1
        assert value(daemon, "orders_metrics_dropped_series_total") == 0
        assert value(daemon, "db_client_connections") >= 4
        assert value(daemon, "orders_workers_busy") == 0
        # A connection of this scrape, none of others is left.
        assert value(daemon, "orders_http_connections") is not None


def test_one_replica_asks_the_queues_for_all(parts):
    with System(parts) as fresh:
        replicas = [fresh.delivery_svc().start() for _ in range(3)]
        queue = fresh.settings["ORDERS_QUEUE"]
        labels = {"messaging_destination_name": queue, "state": "visible"}
        eventually(lambda: all(value(r, "orders_queue_messages", **labels) == 0 for r in replicas), timeout=60)
        claimed = fresh.query("SELECT count(*), max(claimed_at) - min(claimed_at) FROM delivery_queue_depths")
        assert claimed[0][0] == 2
        asked = fresh.query("SELECT sum(calls) FROM (SELECT count(*) AS calls FROM delivery_queue_depths"
                            " WHERE counted_at IS NOT NULL) AS counted")
        assert asked == [(2,)]


def test_what_the_database_tells_is_hidden_while_it_is_away():
    private = PrivateParts()
    gauges = ("orders_outbox_events", "orders_outbox_oldest_age_seconds", "orders_queue_messages", "orders_open",
              "orders_oldest_pending_age_seconds", "orders_database_size_bytes")
    try:
        with System(private) as alone:
            alone.start()

            def shown():
                found = {name for daemon in alone.daemons for name, _ in samples(daemon)}
                return [name for name in gauges if name in found]

            eventually(lambda: shown() == list(gauges), what="all gauges")
            private.stop("postgres")
            eventually(lambda: shown() == [], what="the end of the gauges")
            assert value(alone.order, "orders_observed_timestamp_seconds") > 0
            private.start("postgres")
            eventually(lambda: shown() == list(gauges), what="all gauges again")
    finally:
        private.close()


def test_many_scrapes_at_once_and_nonsense(system):
    url = system.order.metrics_url
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda i: requests.get(url, timeout=20).status_code, range(200)))
    assert set(answers) == {200}
    assert requests.get(url + "/x", timeout=5).status_code == 404
    assert requests.post(url, data=b"x" * 100000, timeout=5).status_code == 405
    assert requests.get(url, headers={"Accept": "q=;;,," * 300}, timeout=5).status_code == 200


def test_the_port_can_be_switched_off_and_must_be_free(parts):
    with System(parts) as one:
        quiet = one.order_svc(METRICS_PORT="0").start()
        assert not [line for line in quiet.log_lines() if "metrics" in line["body"]]
        port = free_port()
        first = one.delivery_svc(METRICS_PORT=str(port)).start()
        second = one.delivery_svc(METRICS_PORT=str(port)).launch()
        assert second.process.wait(timeout=60) == 1
        second.process = None
        assert f"cannot listen on 127.0.0.1 port {port}" in second.log_text()
        assert scrape(first)
