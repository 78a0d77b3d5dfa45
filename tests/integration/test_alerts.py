"""The alerts and dashboards of deploy/observability: by themselves, and with a real Prometheus and the real daemons."""

import importlib.util
import json
import os
import re
import subprocess

import pytest
import requests
import yaml
from certificates import authority
from harness import PATIENCE, ROOT, Api, System, basket, eventually, free_port, http
from observer import DEPLOYED, Prometheus
from test_token_keys import GRANT, KINDS, Folders

RULES = {path.name: yaml.safe_load(path.read_text()) for path in sorted((DEPLOYED / "rules").glob("*.yml"))}
ALL_RULES = [rule for file in RULES.values() for group in file["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in ALL_RULES if "record" in rule}
UNIT_TESTS = sorted((DEPLOYED / "tests").glob("*.yml"))
DASHBOARDS = {path.name: json.loads(path.read_text())
              for path in sorted((DEPLOYED / "grafana/dashboards").glob("*.json"))}
PANELS = [(name, panel["title"], target["expr"]) for name, dashboard in DASHBOARDS.items()
          for panel in dashboard["panels"] for target in panel["targets"]]


# Without a running system

@pytest.mark.parametrize("command", [
    ["check", "config", DEPLOYED / "prometheus.yml"],
    ["check", "rules", *sorted((DEPLOYED / "rules").glob("*.yml"))],
    ["test", "rules", *UNIT_TESTS],
], ids=lambda command: " ".join(command[:2]))
def test_promtool_finds_nothing(command):
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_each_alert_is_tried_firing_and_silent():
    """A unit test has the name of its alert. At one time nothing fires, at another one this alert does."""
    tried = set()
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["promql_expr_test"]:
                fires = {re.search(r'alertname="(\w+)"', sample["labels"]).group(1) for sample in case["exp_samples"]}
                tried.add((test["name"].partition(":")[0], "fires" if fires else "silent"))
                tried |= {(name, "fires") for name in fires}
    assert tried == {(name, what) for name in ALERTS for what in ("fires", "silent")}


def anchors(path):
    """The names of the sections, as links have them."""
    headings = re.findall(r"^#+ +(.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_who_acts_and_how(name):
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"} and rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in anchors(ROOT / document)
    assert name in (ROOT / document).read_text()


def test_dashboards_are_those_of_their_script():
    script = DEPLOYED / "grafana/dashboards.py"
    spec = importlib.util.spec_from_file_location("dashboards", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stored = {path.name: path.read_text() for path in (DEPLOYED / "grafana/dashboards").iterdir()}
    assert stored == module.texts(), f"run {script.relative_to(ROOT)}"


def test_each_legend_names_one_label_at_a_time():
    for text in DASHBOARDS.values():
        assert all(re.fullmatch(r"\w+", label) for label in re.findall(r"{{(.*?)}}", json.dumps(text)))


def test_every_metric_is_a_documented_one():
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/OBSERVABILITY.md").read_text(), re.MULTILINE))
    asked = {selector for expression in [*(panel[2] for panel in PANELS), *(rule["expr"] for rule in ALL_RULES)]
             for selector in selectors(expression)}
    names = {re.sub(r"_(bucket|sum|count)$", "", re.match(r"[\w:]+", selector).group()) for selector in asked}
    assert {name for name in names if ":" not in name} - {"up", "ALERTS"} <= documented
    assert {name for name in names if ":" in name} <= RECORDED.keys()


# With Prometheus

def selectors(expression):
    """The selectors of series in an expression: name{labels}."""
    rest = re.sub(r"\b(by|on|ignoring|group_left|without)\s*\([^)]*\)", " ", expression)
    found = re.findall(r"(?<![\w\"$])([A-Za-z_][\w:]*(?:\{[^}]*\})?)(?![\w(:]|\s*\()", re.sub(r"\[[^]]*\]", "", rest))
    return [name for name in found if name not in ("and", "or", "unless", "on", "by")]


def test_selectors_are_found():
    assert selectors('a - scalar(b:c) / on (x, y) group_left () d{e=~"f(g)|h.*",i="j"} and min by (k) (rate(l[5m])) > 2 * m') \
        == ["a", "b:c", 'd{e=~"f(g)|h.*",i="j"}', "l", "m"]


class Load:
    """All that the metrics tell of: orders until they are delivered, replays, reads, faults, revoked tokens."""

    def __init__(self, system):
        self.system = system
        self.api, self.deliveries = Api(system.order.url, self.token()), Api(system.delivery.url, self.token())
        system.send("ORDERS_QUEUE", "poison")

    def token(self):
        return http("POST", f"{self.system.order.url}/auth/token", data=GRANT).json()["access_token"]

    def round(self):
        body = basket()
        order_id = self.api.created(body, key=body["customer_id"])
        assert self.api.create(body, key=body["customer_id"]).headers["Idempotent-Replayed"] == "true"
        assert self.api.get("/orders?limit=1").status_code == 200
        assert self.api.get("/orders/no-uuid").status_code == 404
        eventually(lambda: self.api.order(order_id)["status"] == "DELIVERED", what="delivery")
        assert self.deliveries.shipment(order_id)["status"] == "DELIVERED"
        assert self.deliveries.get(f"/delivery/shipment/{order_id}/events").status_code == 200
        assert self.deliveries.get("/delivery/shipment/no-uuid").status_code == 404
        shipment = self.deliveries.shipment(order_id)["id"]
        assert self.deliveries.move(shipment, "SHIPPED").status_code == 409
        answer = http("POST", f"{self.system.order.url}/auth/revoke", data={
            "token": self.token(), "client_id": GRANT["client_id"], "client_secret": GRANT["client_secret"]})
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def load(parts, tmp_path_factory):
    """Both daemons with TLS and keys, because these have metrics of their own."""
    folder = tmp_path_factory.mktemp("observed")
    authority().issue(folder)
    keys = Folders(folder)
    keys.put("current.pem", KINDS["ES256"]())
    with System(parts, TLS_CERT_FILE=str(folder / "cert.pem"), TLS_KEY_FILE=str(folder / "key.pem")) as system:
        order = system.order_svc(JWT_KEYS=str(keys.order))
        order.environment["JWT_ISSUER"] = system.settings["JWT_ISSUER"] = order.url
        order.launch()
        system.delivery_svc(JWT_KEYS=str(keys.delivery)).launch()
        for daemon in system.daemons:
            eventually(daemon.is_ready)
        yield Load(system)


@pytest.fixture(scope="module")
def prometheus(load):
    addresses = [daemon.metrics_url.split("/")[2] for daemon in load.system.daemons]
    with Prometheus(order_svc=addresses[:1], delivery_svc=addresses[1:]) as started:
        yield started


def expressions():
    """What must have data, by what it belongs to. Of a condition: all that it compares."""
    asked = {f"panel {name}: {title}: {query}": query.replace("$__rate_interval", "1m") for name, title, query in PANELS}
    asked |= {f"record {name}": name for name in RECORDED} | {f"rule of {name}": query for name, query in RECORDED.items()}
    # There are no failures 5xx here; those of clients have the same labels.
    asked |= {f"{selector} of {name}": selector.replace('"5.."', '"4.."')
              for name, query in RECORDED.items() for selector in selectors(query)}
    return asked | {f"{selector} of {name}": selector
                    for name, rule in ALERTS.items() for selector in selectors(rule["expr"])}


def test_every_expression_has_data(load, prometheus):
    missing = expressions()
    assert len(missing) > 150

    def all_have():
        load.round()
        for name, query in list(missing.items()):
            if prometheus.query(query):
                del missing[name]
        return not missing

    try:
        while missing:
            count = len(missing)
            eventually(lambda seen=count: all_have() or len(missing) < seen, timeout=150, what="data for a further expression")
    finally:
        print("without data:", *missing, sep="\n")


def test_every_rule_works(prometheus):
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(ALL_RULES)
    assert {rule["health"] for rule in rules} == {"ok"}, [rule["lastError"] for rule in rules if rule["health"] != "ok"]
    assert {target["health"] for target in prometheus.ask("targets")["activeTargets"]} == {"up"}


def test_an_alert_fires(load, prometheus):
    summary = eventually(lambda: prometheus.firing().get("DeadLettersWaiting"), timeout=300, what="the alert")
    assert summary == f"1 messages of {load.system.settings['ORDERS_QUEUE']} were given up"


def test_observe_script_starts_prometheus_with_targets_and_rules(load, tmp_path):
    script, folder = ROOT / "scripts/observe.sh", tmp_path / "prometheus"
    addresses = [daemon.metrics_url.split("/")[2] for daemon in load.system.daemons]

    def run(*words):
        done = subprocess.run([script, *words], capture_output=True, text=True, check=False, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, env=os.environ | {"PROMETHEUS_PORT": str(port)})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    port = free_port()
    try:
        url = run("start", folder, *addresses)
        assert url == f"http://127.0.0.1:{port}" == run("start", folder, *addresses), "the second one changes nothing"

        def ask(path):
            return requests.get(f"{url}/api/v1/{path}", timeout=PATIENCE).json()["data"]

        eventually(lambda: {target["health"] for target in ask("targets")["activeTargets"]} == {"up"})
        targets = {(one["labels"]["job"], one["labels"]["instance"]) for one in ask("targets")["activeTargets"]}
        assert targets == {("order-svc", addresses[0]), ("delivery-svc", addresses[1]), ("prometheus", f"127.0.0.1:{port}")}
        assert sum(len(group["rules"]) for group in ask("rules")["groups"]) == len(ALL_RULES)
    finally:
        run("stop", folder)
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=PATIENCE)
