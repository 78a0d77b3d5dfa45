#!/usr/bin/env python3
"""Writes the dashboards of Grafana into dashboards/, next to this file. Change a panel here, then run it."""

import json
import pathlib

RATE = "[$__rate_interval]"
DAEMONS = 'job=~"order-svc|delivery-svc"'
NO_PROBES = 'http_route!~"/health.*"'


def quantiles(metric, by="", where=""):
    """The median and the slowest hundredth of a histogram, as queries with their legends."""
    labels = ", ".join(["le", *([by] if by else [])])
    legend = "".join(f" {{{{{label}}}}}" for label in by.split(", ")) if by else ""
    return [(f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{where}}}{RATE})))".replace("{}", ""),
             f"{name}{legend}") for q, name in ((0.5, "half"), (0.99, "99 %"))]


def rate(metric, by="", where=""):
    selector = f"{metric}{{{where}}}" if where else metric
    return f"sum by ({by}) (rate({selector}{RATE}))" if by else f"sum(rate({selector}{RATE}))"


def stat(title, query, unit="short", steps=None, text=""):
    """One number. steps: values from which it becomes yellow and red."""
    colors = [{"color": "green", "value": None}]
    colors += [{"color": color, "value": value} for color, value in zip(("yellow", "red"), steps or ())]
    return {"title": title, "type": "stat", "w": 4, "h": 4, "unit": unit, "queries": [(query, "")], "text": text,
            "thresholds": colors}


def graph(title, queries, unit="short", text="", w=8):
    queries = [(queries, "all")] if isinstance(queries, str) else queries
    return {"title": title, "type": "timeseries", "w": w, "h": 8, "unit": unit, "queries": queries, "text": text}


OVERVIEW = [
    stat("Orders a minute", f"60 * {rate('orders_created_total')}"),
    stat("Shipped a minute", '60 * sum(rate(orders_moved_total{status="SHIPPED"}[$__rate_interval]))'),
    stat("Delivered a minute", '60 * sum(rate(orders_moved_total{status="DELIVERED"}[$__rate_interval]))'),
    stat("Not shipped yet", 'max(orders_open{status="PENDING_SHIPMENT"})'),
    stat("Oldest of them", "orders:oldest_pending_age_seconds", "s", text="Red when an order is late.", steps=(300, 900)),
    stat("Alerts", 'count(ALERTS{alertstate="firing"}) or vector(0)', steps=(1, 1)),
    graph("Orders a minute", [
        (f"60 * {rate('orders_created_total')}", "accepted"),
        ('60 * sum(rate(orders_moved_total{status="SHIPPED"}[$__rate_interval]))', "shipped"),
        ('60 * sum(rate(orders_moved_total{status="DELIVERED"}[$__rate_interval]))', "delivered"),
        ('60 * sum(rate(orders_moved_total{status="CANCELLED"}[$__rate_interval]))', "cancelled"),
    ], w=12),
    graph("Open orders", [("max by (status) (orders_open)", "{{status}}")], w=12,
          text="Counted up to 100,000 for each status."),
    graph("Oldest order that is not shipped", [
        ("orders:oldest_pending_age_seconds", "age"),
        ("max(orders:setting:late_after_seconds)", "late"),
    ], "s"),
    graph("Requests that failed", [("job:orders_request_failures:ratio5m", "{{job}}")], "percentunit",
          text="Answers 5xx. 0.1 % may fail over 30 days."),
    graph("Time until an order is answered", quantiles(
        "http_server_request_duration_seconds", where='http_request_method="POST",http_route="/orders"'), "s"),
    graph("Dead letters", [('queue:orders_queue_messages{state="dead_letter"}', "{{messaging_destination_name}}")]),
    graph("Daemons that answer", [(f"sum by (job) (up{{{DAEMONS}}})", "{{job}}")]),
    graph("Parts that answer", [("min by (part) (orders_part_up)", "{{part}}")]),
]

FLOW = [
    graph("1. Orders accepted per second", rate("orders_created_total")),
    graph("2. Oldest event in an outbox", [("outbox:orders_outbox_oldest_age_seconds", "{{outbox}}")], "s",
          text="A second at most while the queue takes events."),
    graph("2. Events in outboxes", [("max by (outbox) (orders_outbox_events)", "{{outbox}}")]),
    graph("2. Events published per second", [
        (rate("orders_outbox_published_total", "outbox, outcome"), "{{outbox}} {{outcome}}")]),
    graph("3. Messages that wait in queues", [
        ('queue:orders_queue_messages{state="visible"}', "{{messaging_destination_name}}")]),
    graph("3. Messages received per second", [
        ("queue:orders_consumed:rate1m", "{{messaging_destination_name}}")]),
    graph("4. Messages by outcome per second", [
        (rate("orders_messages_total", "messaging_destination_name, outcome"),
         "{{messaging_destination_name}} {{outcome}}")]),
    graph("4. Messages that were not processed, per second", [
        (rate("orders_messages_total", "messaging_destination_name, reason", 'reason!=""'),
         "{{messaging_destination_name}} {{reason}}")],
        text="Why they come back or became dead letters."),
    graph("4. Time to process a batch", quantiles("messaging_process_duration_seconds", "messaging_destination_name"),
          "s"),
    graph("5. From an order to its shipment", quantiles("orders_shipment_delay_seconds"), "s"),
    graph("6. From a shipment's change to its order", quantiles("orders_status_delay_seconds"), "s"),
    graph("7. Orders that reached a status per second", [(rate("orders_moved_total", "status"), "{{status}}")]),
    graph("From a revoked token to delivery-svc", quantiles("orders_revocation_delay_seconds"), "s"),
    graph("Events published again per second", [(rate("orders_repeated_events_total", "event"), "{{event}}")],
          text="For orders and shipments whose events may have been lost."),
    graph("Calls of SQS that take long (99 %)", [
        quantiles("messaging_client_operation_duration_seconds", "messaging_operation_name")[1]], "s",
        text="Receiving includes the long poll."),
    graph("Dead letters", [('queue:orders_queue_messages{state="dead_letter"}', "{{messaging_destination_name}}")]),
]

RESOURCES = [
    graph("Processors used", [(f"rate(process_cpu_seconds_total{{{DAEMONS}}}{RATE})", "{{job}} {{instance}}")]),
    graph("Memory", [
        (f"process_resident_memory_bytes{{{DAEMONS}}}", "{{job}} {{instance}}"),
        ("max(orders:setting:memory_limit_bytes)", "limit")], "bytes"),
    graph("Open files, of those that may be open", [
        (f"process_open_fds{{{DAEMONS}}} / process_max_fds", "{{job}} {{instance}}")], "percentunit"),
    graph("Threads", [(f"process_threads{{{DAEMONS}}}", "{{job}} {{instance}}")]),
    graph("Connections to PostgreSQL", [
        ("sum by (job, db_client_connection_state) (db_client_connections)", "{{job}} {{db_client_connection_state}}")]),
    graph("New connections per second", [
        (rate("orders_db_connects_total", "job, outcome"), "{{job}} {{outcome}}")]),
    graph("Wait for a shared connection to PostgreSQL (99 %)", [
        quantiles("db_client_connection_wait_time_seconds", "job, db_client_connection_pool_name")[1]], "s"),
    graph("Size of the database", [
        ("orders:database_size_bytes", "size"), ("max(orders:setting:database_capacity_bytes)", "capacity")], "bytes"),
    graph("Calls of PostgreSQL and Redis that take long (99 %)", [
        quantiles("db_client_operation_duration_seconds", "db_system_name")[1]], "s"),
    graph("Breakers that are open", [("max by (job, part) (orders_breaker_open)", "{{job}} {{part}}")]),
    graph("Certificates expire in", [
        ("min by (job) (orders_certificate_expiry_timestamp_seconds - time())", "{{job}}")], "s", text="Only with TLS."),
    graph("Age of the key that signs tokens", [
        ("max by (job) (time() - orders_token_key_modified_timestamp_seconds)", "{{job}}")], "s",
        text="Only with JWT_KEYS."),
    graph("Uptime", [(f"time() - process_start_time_seconds{{{DAEMONS}}}", "{{job}} {{instance}}")], "s"),
    graph("Versions", [("count by (service_name, version) (orders_build_info)", "{{service_name}} {{version}}")]),
    graph("Lines of the log that were dropped", [
        (rate("orders_log_dropped_lines_total", "job"), "{{job}}")]),
    graph("Age of the numbers of queues and orders", [
        ("time() - max by (job) (orders_observed_timestamp_seconds)", "{{job}}")], "s"),
]


def daemon(job, *extra):
    me = f'job="{job}"'
    return [
        graph("Requests per second", [
            (rate("http_server_request_duration_seconds_count", "http_request_method, http_route",
                  f"{me},{NO_PROBES}"), "{{http_request_method}} {{http_route}}")]),
        graph("Answers per second", [
            (rate("http_server_request_duration_seconds_count", "http_response_status_code", f"{me},{NO_PROBES}"),
             "{{http_response_status_code}}")]),
        graph("Requests that failed", [(f"job:orders_request_failures:ratio5m{{{me}}}", "5xx")], "percentunit"),
        graph("Time of a request (99 %)", [
            quantiles("http_server_request_duration_seconds", "http_route", f"{me},{NO_PROBES}")[1]], "s"),
        graph("Time of a request", quantiles("http_server_request_duration_seconds", where=f"{me},{NO_PROBES}"), "s"),
        graph("Requests at work", [(f"sum(http_server_active_requests{{{me}}})", "requests")]),
        graph("Requests that wait for a worker", [
            (f"sum by (http_request_method, http_route) (orders_lane_requests{{{me}}})",
             "{{http_request_method}} {{http_route}}"),
            (f"max(orders_lane_capacity{{{me}}})", "may wait")]),
        graph("Time that they wait (99 %)", [quantiles("orders_lane_wait_seconds", "http_route", me)[1]], "s"),
        graph("Requests in a batch (99 %)", [quantiles("orders_batch_requests", "http_route", me)[1]]),
        graph("Workers", [
            (f"sum(orders_workers_busy{{{me}}})", "busy"), (f"sum(orders_workers{{{me}}})", "all")]),
        graph("Connections", [
            (f"sum(orders_http_connections{{{me}}})", "open"), (f"sum(orders_http_max_connections{{{me}}})", "may be open"),
            (f"sum(orders_http_connections{{{me}}}) - sum(http_server_active_requests{{{me}}})", "open, without a request"),
            (f"sum(orders_http_waiting_connections{{{me}}})", "wait to be accepted")]),
        graph("Refused requests per second", [(rate("orders_http_refused_total", "reason", me), "{{reason}}")]),
        graph("Bytes per second", [
            (rate("http_server_request_body_size_bytes_sum", where=me), "in"),
            (rate("http_server_response_body_size_bytes_sum", where=me), "out")], "Bps"),
        graph("Time of a statement or round trip (99 %)", [
            quantiles("db_client_operation_duration_seconds", "db_query_summary", me)[1]], "s"),
        *extra,
    ]


CACHES = [
    graph("Lookups that hit", [
        ('sum by (cache, tier) (rate(orders_cache_lookups_total{job="order-svc",result="hit"}[$__rate_interval]))'
         ' / sum by (cache, tier) (rate(orders_cache_lookups_total{job="order-svc"}[$__rate_interval]))',
         "{{cache}} in {{tier}}")], "percentunit"),
    graph("Entries of caches", [('sum by (cache) (orders_cache_entries{job="order-svc"})', "{{cache}}")]),
    graph("Size of caches", [('sum by (cache) (orders_cache_size_bytes{job="order-svc"})', "{{cache}}")], "bytes"),
]

FEED = [
    graph("Streams and long polls", [('sum by (kind) (orders_feed_readers{job="order-svc"})', "{{kind}}")]),
    graph("Events given to them per second", rate("orders_feed_events_total")),
    graph("Age of what the feed holds back", [("max(orders_feed_held_back_seconds)", "age")], "s",
          text="An older transaction still runs."),
]

DASHBOARDS = {
    "overview": ("Orders: overview", OVERVIEW),
    "flow": ("Orders: from hop to hop", FLOW),
    "resources": ("Orders: resources", RESOURCES),
    "order-svc": ("Orders: order-svc", daemon("order-svc", *CACHES, *FEED)),
    "delivery-svc": ("Orders: delivery-svc", daemon("delivery-svc")),
}


def panel(number, described, x, y):
    defaults = {"unit": described["unit"], "min": 0}
    if described["type"] == "stat":
        defaults["thresholds"] = {"mode": "absolute", "steps": described["thresholds"]}
    return {
        "id": number, "title": described["title"], "description": described["text"], "type": described["type"],
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"x": x, "y": y, "w": described["w"], "h": described["h"]},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [{"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend, "exemplar": "_bucket" in query}
                    for i, (query, legend) in enumerate(described["queries"])],
    }


def dashboard(uid, title, panels):
    placed, x, y, height = [], 0, 0, 0
    for number, described in enumerate(panels, 1):
        if x + described["w"] > 24:
            x, y, height = 0, y + height, 0
        placed.append(panel(number, described, x, y))
        x, height = x + described["w"], max(height, described["h"])
    return {"uid": f"orders-{uid}", "title": title, "tags": ["orders"], "schemaVersion": 38, "editable": False,
            "refresh": "10s", "time": {"from": "now-30m", "to": "now"}, "panels": placed,
            "links": [{"type": "dashboards", "tags": ["orders"], "title": "Orders", "asDropdown": False}]}


def texts():
    """The text of each file."""
    return {f"{uid}.json": json.dumps(dashboard(uid, title, panels), indent=1) + "\n"
            for uid, (title, panels) in DASHBOARDS.items()}


if __name__ == "__main__":
    for name, text in texts().items():
        (pathlib.Path(__file__).parent / "dashboards" / name).write_text(text)
