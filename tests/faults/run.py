"""Runs the system under load and under faults drawn from a seed, then checks every promise.

Usage: run.py --seed N --duration SECONDS [--only REGEX] [--observe]
The daemons are those of ORDER_SVC and DELIVERY_SVC. Exits with 1 when a promise was broken.
"""

import argparse
import asyncio
import collections
import contextlib
import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import alerts  # noqa: E402
import checker  # noqa: E402 (this and the next find harness through the line above)
import clients  # noqa: E402
import followers  # noqa: E402
import schedule  # noqa: E402
import stage as stages  # noqa: E402

CONVERGE = 180  # maximum seconds from the last fault until the system is at rest


def at_rest(system):
    """A shipment that a delivered order lacks will not come any more: the database forgot it, as the checker sees."""
    differing = system.query("""
        SELECT count(*) FROM orders o LEFT JOIN shipments s ON s.order_id = o.id
         WHERE o.status NOT IN ('DELIVERED', 'CANCELLED') OR (o.status = 'CANCELLED' AND s.id IS NULL)
            OR s.id IS NOT NULL AND (s.status, s.tracking_number, s.carrier) IS DISTINCT FROM (o.status, o.tracking_number, o.carrier)""")
    return differing == [(0,)] and system.is_drained()


async def converge(stage):
    """Waits until the system is at rest, but not longer than CONVERGE. Returns the seconds."""
    start = time.monotonic()
    while time.monotonic() < start + CONVERGE:
        if await asyncio.to_thread(at_rest, stage.system):
            break
        await asyncio.sleep(0.5)
    return time.monotonic() - start


async def watch(stage, disorders):
    """Notes each daemon that ends by itself, which breaks a promise. Restarts it, as an orchestrator would."""
    while True:
        for name, replica in stage.replicas.items():
            process = replica.daemon.process
            if not replica.in_trouble and process is not None and process.poll() is not None:
                disorders.append(f"{name} ended by itself with {process.returncode}")
                replica.daemon.process = None
                replica.daemon.launch()
        await asyncio.sleep(0.5)


async def perform(stage, seed, play, more=()):
    """Runs clients and faults. play(journal, disorders) injects the faults, more are kinds of further clients. Returns the
    journal, the injected faults, the daemons' disorders and the seconds to rest."""
    journal, disorders = clients.Journal(), []
    actors = [clients.Shop(stage, journal, seed, number) for number in range(clients.CLIENTS)]
    actors += [make(stage, journal, seed) for make in (*more, clients.Vandal, clients.Leaver)]
    receiver = followers.Receiver(stage, journal, seed)
    await receiver.start()
    feed = [followers.Poller(stage, journal, seed, "poller"), followers.Streamer(stage, journal, seed, "streamer"), receiver]
    actors = feed + actors
    guard = asyncio.create_task(watch(stage, disorders))
    lives = [asyncio.create_task(actor.live()) for actor in actors]
    done = await play(journal, disorders)
    await asyncio.to_thread(stage.heal)
    for actor in actors:
        actor.stopping = True
    _, unfinished = await asyncio.wait(lives, timeout=CONVERGE)
    for task in unfinished:
        task.cancel()
    for task in lives:
        if task.done() and not task.cancelled():
            task.result()  # a client that failed is a failure of the run
    rest = await converge(stage)
    await asyncio.to_thread(stage.reunite)
    await actors[-1].ask_everywhere()
    for follower in feed:
        await follower.read_to_end()
    guard.cancel()
    return journal, done, disorders, rest


def stop_daemons(stage, disorders):
    """Stops all daemons. Each must stop cleanly and without a sanitizer report."""
    for name, replica in stage.replicas.items():
        try:
            if replica.daemon.process is not None:
                replica.daemon.stop()
            replica.end_log()
            replica.daemon.assert_no_sanitizer_report()
        except Exception as error:
            disorders.append(f"{name}: {error}")


def print_table(title, rows):
    print(f"\n{title}")
    for name, *values in rows:
        print(f"  {name:<48}" + "".join(f"{value:>10}" for value in values))


def report(journal, done, findings):
    print_table("Faults injected", sorted(done.items()) + [("all", sum(done.values()))])
    outcomes = collections.Counter()
    for (route, outcome), count in journal.outcomes.items():
        outcomes[f"{route}: {outcome}"] = count
    print_table("Requests", sorted(outcomes.items()) + [("all", sum(outcomes.values()))])
    print_table("Promises: checked, broken",
                [(name, count, len(findings.violations[name])) for name, count in findings.checked.items()])
    for name, words in findings.violations.items():
        for one in words[:checker.MANY]:
            print(f"BROKEN  {name}: {one}")


def execute(stage, seed, play, repeat, more=(), watch=None, check=None):
    """Runs everything and prints the report. repeat is the command that does so again, check(journal, findings) checks
    more. Returns the number of violations."""
    journal, done, disorders, rest = asyncio.run(perform(stage, seed, play, more))
    findings = checker.check(journal, stage.losses, stage.setbacks, stage.system)
    findings.fail("a silent order is due within the time it was silent", stage.overdue)
    if check:
        check(journal, findings)
    if watch:
        findings.fail("each alert ends after the faults", watch.await_silence())
        watch.print()
    stop_daemons(stage, disorders)
    findings.fail("the daemons stop in order and never end by themselves", disorders)
    print(f"seed {seed}, at rest {rest:.1f} s after the last fault, {len(journal.orders)} orders")
    report(journal, done, findings)
    if findings.count:
        stage.keep_logs = True
        print(f"\n{findings.count} violations; to repeat: {repeat}\nlogs: {stage.system.folder}")
    return findings.count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--duration", type=int, required=True)
    parser.add_argument("--only", default="", help="only faults whose kind and target match this expression")
    parser.add_argument("--observe", action="store_true", help="a Prometheus watches; no alert may stay on")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to stop what was started
    stage = stages.Stage()

    async def play(_journal, disorders):
        faults = [f for f in schedule.draw(options.seed, options.duration, stage.links)
                  if re.search(options.only, f"{f.kind} {f.target}")]
        return await schedule.play(stage, faults, disorders)

    repeat = f"scripts/run-faults.sh --seed {options.seed} --duration {options.duration}"
    try:
        with alerts.Watch(stage) if options.observe else contextlib.nullcontext() as watch:
            violations = execute(stage, options.seed, play, repeat + " --observe" * options.observe, watch=watch)
    finally:
        stage.close()
    sys.exit(violations > 0)


if __name__ == "__main__":
    main()
