"""The command line: every fault of the configuration in one message, refusals of production, knobs that are documented."""

import re
import subprocess

import pytest
from harness import DELIVERY_SVC, ORDER_SVC, PATIENCE, ROOT, free_port

BOTH = pytest.mark.parametrize("program", [ORDER_SVC, DELIVERY_SVC], ids=["order-svc", "delivery-svc"])
SECRET = "a-secret-of-production-that-is-long-enough"


def run(program, *arguments, **settings):
    return subprocess.run([program, *arguments], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "DB_PASSWORD": "not-the-default",
                               "WEBHOOK_SECRETS_KEY": "a-key-of-webhooks-that-is-long-enough", **settings},
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)


def knobs(program):
    """The names that --help lists."""
    listed = run(program, "--help")
    assert listed.returncode == 0
    return set(re.findall(r"^\s*([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", listed.stdout, re.MULTILINE))


@BOTH
def test_help_lists_the_knobs_and_options(program):
    assert {"APP_ENV", "DB_HOST", "DB_PASSWORD", "SQS_ENDPOINT", "JWT_SECRET"} <= knobs(program)
    text = run(program, "--help").stdout
    for option in ("--env", "--help", "--version", "--check-config", "--print-config", "--migrate"):
        assert option in text


@BOTH
def test_good_configuration_is_accepted(program):
    checked = run(program, "--check-config", APP_ENV="production", JWT_SECRET=SECRET)
    assert checked.returncode == 0, checked.stderr


@BOTH
def test_all_bad_values_come_in_one_message(program):
    bad = {"DB_PORT": "99999999999", "DB_POOL_SIZE": "0", "LOG_LEVEL": "loud", "SQS_ENDPOINT": "not-a-url",
           "HTTP_TIMEOUT": "soon", "ORDERS_QUEUE": "not-fifo", "BATCH_SIZE": "7x", "APP_ENV": "prod"}
    checked = run(program, "--check-config", JWT_SECRET=SECRET, **bad)
    assert checked.returncode == 1
    for name in bad:
        assert name in checked.stderr, name


@pytest.mark.parametrize(("retention", "events", "good"), [
    ("0", "87600h", True), ("720h", "720h", True), ("719h", "24h", False), ("-1h", "24h", False), ("960h", "961h", False)])
def test_orders_stay_for_as_long_as_their_events(retention, events, good):
    checked = run(ORDER_SVC, "--check-config", APP_ENV="development", ORDERS_RETENTION=retention, EVENTS_RETENTION=events)
    assert (checked.returncode == 0) is good and ("ORDERS_RETENTION:" in checked.stderr) is not good


@BOTH
def test_bad_value_stops_the_start(program):
    started = run(program, JWT_SECRET=SECRET, DB_POOL_SIZE="0")
    assert started.returncode == 1
    assert "DB_POOL_SIZE" in started.stderr


@pytest.mark.parametrize("program, settings, name", [
    (ORDER_SVC, {}, "JWT_SECRET"),
    (ORDER_SVC, {"JWT_SECRET": "dev-secret-key-change-in-production"}, "JWT_SECRET"),
    (ORDER_SVC, {"JWT_SECRET": SECRET, "DEMO_CLIENTS": "true"}, "DEMO_CLIENTS"),
    (ORDER_SVC, {"JWT_SECRET": SECRET, "DB_PASSWORD": "admin123"}, "DB_PASSWORD"),
    (ORDER_SVC, {"JWT_SECRET": SECRET, "WEBHOOK_SECRETS_KEY": ""}, "WEBHOOK_SECRETS_KEY"),
    (DELIVERY_SVC, {"JWT_SECRET": "dev-secret-key-change-in-production"}, "JWT_SECRET"),
    (DELIVERY_SVC, {"JWT_SECRET": SECRET, "DB_PASSWORD": ""}, "DB_PASSWORD"),
    (DELIVERY_SVC, {"JWT_SECRET": SECRET, "DELIVERY_ANONYMOUS": "true"}, "DELIVERY_ANONYMOUS"),
])
def test_production_refuses_what_suits_development_only(program, settings, name):
    refused = run(program, "--check-config", **settings)  # production is what an unset APP_ENV means
    assert refused.returncode == 1
    assert name in refused.stderr
    allowed = run(program, "--check-config", APP_ENV="development", **settings)
    assert allowed.returncode == 0, allowed.stderr


def test_production_refuses_all_of_it_in_one_message():
    common = {"JWT_SECRET": "", "DB_PASSWORD": ""}
    for program, name in ((ORDER_SVC, "DEMO_CLIENTS"), (DELIVERY_SVC, "DELIVERY_ANONYMOUS")):
        refused = run(program, **common, **{name: "true"})
        assert refused.returncode == 1
        assert all(fault in refused.stderr for fault in ("JWT_SECRET:", "DB_PASSWORD:", f"{name}:"))
    assert "JWT_SECRET: must be text of 32 to" in run(ORDER_SVC, JWT_SECRET="too-short-a-secret").stderr


@BOTH
def test_development_warns_of_what_is_unsafe(program):
    checked = run(program, "--check-config", APP_ENV="development")
    assert checked.returncode == 0
    assert "JWT_SECRET" in checked.stderr


@BOTH
def test_command_needs_the_database_only(program):
    refused = run(program, "--migrate", DB_PORT=str(free_port()), SQS_ENDPOINT="none")
    assert refused.returncode == 1
    assert "migrations: connection to server" in refused.stderr and "JWT_SECRET" not in refused.stderr


@BOTH
def test_no_secret_is_ever_shown(program):
    secrets = {"JWT_SECRET": "short-but-secret", "DB_PASSWORD": "database-secret", "AWS_SECRET_ACCESS_KEY": "aws-secret"}
    settings = {**secrets, "AWS_ACCESS_KEY_ID": "id"}
    for option in ("--check-config", "--print-config", "--help"):
        done = run(program, option, **settings)
        assert not any(secret in done.stdout + done.stderr for secret in secrets.values())
    shown = run(program, "--print-config", **settings | {"JWT_SECRET": SECRET})
    assert shown.returncode == 0
    assert "***" in shown.stdout and SECRET not in shown.stdout


def test_env_file_is_read_and_the_environment_wins(tmp_path):
    file = tmp_path / "my.env"
    file.write_text(f"# comment\nJWT_SECRET='{SECRET}'\nDB_NAME=from-file\nDB_USER=\"from file\"\n")
    shown = run(ORDER_SVC, "--env", str(file), "--print-config", DB_NAME="from-environment").stdout
    assert "from-environment" in shown and "from file" in shown and "from-file" not in shown


@BOTH
def test_secrets_may_be_in_files(program, tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    names = {"JWT_SECRET_FILE": str(file), "DB_PASSWORD_FILE": str(file), "DB_PASSWORD": ""}
    shown = run(program, "--print-config", **names)
    assert "JWT_SECRET=***\nJWT" in shown.stdout and SECRET not in shown.stdout
    for wrong in ({"DB_PASSWORD": "set-twice"}, {"JWT_SECRET_FILE": str(tmp_path / "missing")}):
        refused = run(program, "--check-config", **names | wrong)
        assert refused.returncode == 1 and f"{next(iter(wrong)).removesuffix('_FILE')}_FILE:" in refused.stderr


@BOTH
def test_missing_env_file_is_refused(program):
    assert run(program, "--env", "/nonexistent", "--check-config", JWT_SECRET=SECRET).returncode != 0


@BOTH
def test_unknown_option_is_refused(program):
    refused = run(program, "--colour", JWT_SECRET=SECRET)
    assert refused.returncode != 0 and "--colour" in refused.stderr


@BOTH
def test_env_example_is_clean(program):
    checked = run(program, "--env", str(ROOT / "env.example"), "--check-config")
    assert checked.returncode == 0, checked.stderr


def test_env_example_names_every_knob_and_nothing_else():
    named = re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", (ROOT / "env.example").read_text(), re.MULTILINE)
    assert set(named) == knobs(ORDER_SVC) | knobs(DELIVERY_SVC)
    assert len(named) == len(set(named))


def test_documentation_names_every_knob_and_nothing_else():
    named = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", (ROOT / "docs/CONFIGURATION.md").read_text(), re.MULTILINE)
    assert set(named) == knobs(ORDER_SVC) | knobs(DELIVERY_SVC)
    assert len(named) == len(set(named))
