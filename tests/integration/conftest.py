"""Fixtures shared by the modules, and the rule that a skipped test is a failed one."""

import os

import harness
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed:
        systems = [value for value in item.funcargs.values() if isinstance(value, harness.System)]
        report.sections += [tail for one in systems for tail in one.log_tails()]
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"a skipped test is a failure: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def parts():
    """Those of the environment; private ones when it names none."""
    if "DB_HOST" in os.environ:
        yield harness.Parts(os.environ)
        return
    private = harness.PrivateParts()
    yield private
    private.close()


@pytest.fixture(scope="module")
def system(parts):
    """Both daemons with a quick carrier and the long polls of production."""
    with harness.System(parts, SQS_WAIT_TIME="20s") as both:
        yield both.start()


@pytest.fixture(scope="module")
def by_hand(parts):
    """Both daemons with the carrier off: nothing moves by itself."""
    with harness.System(parts, CARRIER_SIMULATION="false", REDIS_TIMEOUT="10s") as both:
        yield both.start()


@pytest.fixture
def new_feed(request):
    """The tests before this one left nothing that comes behind the feed's position "now"."""
    for name in {"system", "by_hand"} & set(request.fixturenames):
        harness.eventually(request.getfixturevalue(name).feed_is_current, what="the feed's position")
