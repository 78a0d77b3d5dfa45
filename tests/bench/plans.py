"""The plans of the daemons' statements in real runs, as auto_explain writes them to the log of PostgreSQL."""

import pathlib
import re
import subprocess
import textwrap
import time

from lab import harness

SETTINGS = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": 0,
            "auto_explain.log_analyze": "on", "auto_explain.log_timing": "off", "auto_explain.log_buffers": "on",
            "log_min_duration_statement": 0,
            "log_parameter_max_length": 0}
# With these times every statement has something to do. Orders are silent both before and after they are shipped.
DAEMONS = {"CARRIER_SIMULATION": "true", "CARRIER_ASSIGN_DELAY": "2s", "CARRIER_SHIP_DELAY": "10ms",
           "CARRIER_DELIVER_DELAY": "5s", "RECONCILE_AFTER": "1s"}
ENTRY = re.compile(
    r"^(?:order|delivery)[^|\n]*\|LOG:  duration: [\d.]+ ms  (plan|execute \w+):(.*(?:\n\t.*)*)", re.MULTILINE)
ESSENTIAL = re.compile(r"^ *->|^\S|^ *(CTE|SubPlan|Index Cond|Filter|Rows Removed|Sort Key|Buffers)")


def each_statement(lab, system):
    """Makes the daemons run every statement more than five times, because then a plan may become a generic one."""
    api, admin = system.client(), system.client("demo-admin", "order:create order:read order:read:all")
    readers = (api, admin, system.client("closed-3", "order:read"), system.client("shop-5", "order:read"))
    deliveries, program = system.deliveries(), [harness.ORDER_SVC, "client"]
    for command in (["add", "shop", "order:read"], ["rotate", "shop"], ["disable", "shop"], ["list"]):
        subprocess.run([*program, *command], env=system.order.environment, check=True, capture_output=True)
    system.query("UPDATE idempotency_keys SET expires_at = now() - interval '1 s' WHERE order_id IN"
                 " (SELECT id FROM orders ORDER BY id LIMIT 5000)")
    (first, last), = system.query(
        """SELECT to_char(percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                  to_char(percentile_disc(0.6) WITHIN GROUP (ORDER BY created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
             FROM orders""")
    for n in range(8):
        order_id = api.created(key=f"known-{n}", body=harness.basket("customer-known"))
        system.redis.flushdb()
        assert api.created(key=f"known-{n}", body=harness.basket("customer-known")) == order_id
        api.order(order_id)
        for reader in readers:
            for customer in ("", "&customer_id=customer-known", "&customer_id=customer-guest"):
                for status in ("", "&status=DELIVERED", "&status=PENDING_SHIPMENT", "&status=CANCELLED"):
                    answer = reader.get(f"/orders?limit=20{customer}{status}")
                    assert answer.status_code == 200, answer.text
        harness.eventually(lambda: deliveries.shipment(order_id), what="the shipment")
        assert deliveries.get(f"/delivery/shipment/{order_id}/events").status_code == 200
        harness.eventually(lambda: deliveries.move(deliveries.shipment(order_id)["id"], "SHIPPED").status_code
                           in (200, 409))  # the carrier may be faster
        for reader in readers:
            for more in (f"created_after={first}&created_before={last}", "reference=R-1000", f"updated_since={first}",
                         f"reference=R-1000&updated_since={first}"):
                answer = reader.get(f"/orders?limit=20&{more}")
                assert answer.status_code == 200, answer.text
        assert api.create(key=f"rival-{n}", body=harness.basket(reference=f"rival-{n}")).status_code == 201
        assert api.create(key=f"loser-{n}", body=harness.basket(reference=f"rival-{n}")).status_code == 409
    lab.backlog(system, lab.count(system.name) + 2000)
    harness.eventually(lambda: not system.query("SELECT FROM orders WHERE status <> 'DELIVERED' LIMIT 1"), timeout=300,
                       what="deliveries")


def touched(tree):
    """The number of pages of the plan node that touched most."""
    return max((sum(map(int, re.findall(r"(?:hit|read)=(\d+)", line))) for line in tree.splitlines()), default=0)


def essential(tree):
    """A plan without the estimates, and without the values of long lists."""
    tree = re.sub(r"  \(cost=[^)]*\)|(?<=\()actual ", "", tree)
    tree = re.sub(r"'\{[^']{40,}\}'", "'{...}'", tree)
    return "\n".join(line for line in tree.splitlines() if ESSENTIAL.search(line))


def read_log(log):
    """For each statement, sorted by name, the plan of the run that touched most pages."""
    names, plans = {}, {}
    for kind, text in ENTRY.findall(log):
        if kind == "plan":
            sql, _, tree = text.replace("\n\t", "\n").lstrip().removeprefix("Query Text: ").partition("\n")
            if touched(tree) >= touched(plans.get(sql, "")):
                plans[sql] = tree
        else:
            names[text.strip()] = kind.removeprefix("execute ")
    blocks = []
    for sql, name in sorted(names.items(), key=lambda item: (item[1], item[0])):
        words = textwrap.wrap(re.sub(r"\s+", " ", sql), 116, initial_indent="    ", subsequent_indent="    ")
        if sql in plans and not name.startswith(("health", "migrate")):
            blocks.append("\n".join([f"{name}: {touched(plans[sql])} pages", *words, essential(plans[sql])]))
    return "\n\n".join(blocks) + "\n"


def collect(lab, system):
    """The text of docs/plans.txt. The daemons must not run yet, because the settings only apply to new connections."""
    log = pathlib.Path(lab.folder, "log/postgres.log")
    lab.execute(system.name, "UPDATE orders SET status = 'DELIVERED' WHERE status <> 'DELIVERED'")
    lab.execute(system.name, "UPDATE orders SET reference = 'R-' || n FROM (SELECT id, row_number() OVER (ORDER BY id) n"
                             " FROM orders) numbered WHERE orders.id = numbered.id AND n % 10 = 0")
    lab.execute(system.name, "TRUNCATE order_outbox")
    lab.execute(system.name, "VACUUM ANALYZE")
    lab.execute("postgres", "ALTER SYSTEM SET log_line_prefix = '%a|'")
    lab.execute("postgres", "SELECT pg_reload_conf()")
    for name, value in SETTINGS.items():
        lab.execute(system.name, f"ALTER DATABASE {system.name} SET {name} = '{value}'")
    start = log.stat().st_size
    for daemon in (system.order_svc(**DAEMONS), system.delivery_svc(**DAEMONS)):
        daemon.start()
    each_statement(lab, system)
    time.sleep(12)  # long enough for the jobs that run every ten seconds
    with log.open() as file:
        file.seek(start)
        return read_log(file.read())
