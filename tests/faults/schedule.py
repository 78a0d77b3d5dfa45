"""The faults: which kinds there are, how a seed selects them, and how each is injected."""

import asyncio
import collections
import contextlib
import os
import random
import re
import select
import signal
import time
import typing

import psycopg
import stage as stages

GAP = 1.2  # mean seconds between faults
CALM, CALM_GAP = 0.08, 6  # probability of a longer gap, and its mean seconds
QUIET_START = 2
NETWORK = ("latency", "slow", "blackhole", "halfopen", "reset")

# A daemon that received a message dies, pauses or stops, or what it asks of SQS is lost.
COSTLY = re.compile(r"(kill|pause|stop) daemon .*|(kill|freeze) part elasticmq|[a-z]+ .*:sqs")


class Fault(typing.NamedTuple):
    at: float
    kind: str
    target: str
    seconds: float
    direction: str
    value: float


async def part_away(stage, fault, how):
    await asyncio.to_thread(getattr(stage.parts, how), fault.target)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(stage.parts.thaw, fault.target)
    await asyncio.to_thread(stage.parts.start, fault.target)


async def kill_part(stage, fault):
    await part_away(stage, fault, "kill")


async def freeze_part(stage, fault):
    await part_away(stage, fault, "freeze")


async def immediate_shutdown(stage, fault):
    """Stops the server without a checkpoint. So its next start recovers from the log."""
    postmaster = os.pidfd_open(stage.postmaster())
    try:
        signal.pidfd_send_signal(postmaster, signal.SIGQUIT)
        await asyncio.to_thread(select.select, [postmaster], [], [])  # until it is gone
    finally:
        os.close(postmaster)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(stage.parts.start, "postgres")


def sessions(stage):
    return [row[0] for row in stage.system.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid")]


async def end_sessions(stage, fault):
    """Ends every second session, as an administrator does with pg_terminate_backend."""
    def end():
        with contextlib.suppress(psycopg.Error):
            for pid in sessions(stage)[::2]:
                stage.system.query("SELECT pg_terminate_backend(%s)", pid)
    await asyncio.to_thread(end)


async def kill_session(stage, fault):
    """Kills one backend. The server then ends all others and restarts by itself."""
    def kill():
        with contextlib.suppress(psycopg.Error, ProcessLookupError, IndexError):
            os.kill(sessions(stage)[int(fault.value)], signal.SIGKILL)
    await asyncio.to_thread(kill)


async def lock_table(stage, fault):
    """Locks a table against everybody, as a migration or a careless administrator does."""
    def lock():
        with contextlib.suppress(psycopg.Error), stage.system.parts.connect(stage.system.name) as session:
            with session.transaction():
                session.execute("SET LOCAL lock_timeout = '2s'")
                session.execute(f"LOCK TABLE {fault.target} IN ACCESS EXCLUSIVE MODE")
                time.sleep(fault.seconds)
    await asyncio.to_thread(lock)


async def new_timeline(stage, fault):
    """Stops the server and promotes it as a standby with all data, as a planned failover does."""
    await asyncio.to_thread(stage.parts.stop, "postgres")
    await asyncio.to_thread(stage.promote)


async def lose_history(stage, fault):
    """Replaces the server by a standby that lags: what was committed in the last seconds is gone."""
    began = time.monotonic(), time.time()
    await asyncio.to_thread(stage.copy_database)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(stage.return_to_copy)
    stage.losses.append((began[0], time.monotonic() + stages.RELIEF, began[1], time.time()))


async def stop_log_reader(stage, fault):
    """Whoever reads the daemon's log stops, so its pipe fills up."""
    reader = stage.replicas[fault.target].log_reader
    reader.send_signal(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    reader.send_signal(signal.SIGCONT)


async def kill_daemon(stage, fault):
    replica = stage.replicas[fault.target]
    replica.disturb()
    replica.daemon.kill()
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(replica.launch)
    replica.settle()


async def pause_daemon(stage, fault):
    replica = stage.replicas[fault.target]
    replica.disturb()
    replica.daemon.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    replica.daemon.process.send_signal(signal.SIGCONT)
    replica.settle()


async def stop_daemon(stage, fault):
    """Stops a daemon as a roll-out does. It must stop cleanly, whatever else is broken."""
    replica = stage.replicas[fault.target]
    replica.disturb()
    replica.daemon.terminate()
    await asyncio.to_thread(replica.daemon.finish)
    await asyncio.to_thread(replica.launch)
    replica.settle()


async def spoil_link(stage, fault):
    stage.proxy.fault(fault.target, fault.kind, fault.direction, fault.value)
    await asyncio.sleep(fault.seconds)
    stage.proxy.heal(fault.target)


DAEMONS = ("order-1", "order-2", "delivery-1", "delivery-2")
TABLES = ("orders", "order_items", "order_outbox", "shipments", "delivery_events", "delivery_outbox")
# kind: (weight, function, targets, minimum and maximum seconds). Most faults last at most a quarter of the maximum.
PROCESSES = {
    "kill daemon": (9, kill_daemon, DAEMONS, 0, 3),
    "pause daemon": (7, pause_daemon, DAEMONS, 0.1, 8),
    "stop daemon": (4, stop_daemon, DAEMONS, 0, 0),
    "kill part": (6, kill_part, ("redis", "elasticmq", "postgres"), 0, 3),
    "freeze part": (6, freeze_part, ("redis", "elasticmq", "postgres"), 0.1, 6),
    "immediate shutdown": (2, immediate_shutdown, ("postgres",), 0, 3),
    "end sessions": (3, end_sessions, ("postgres",), 0, 0),
    "kill session": (2, kill_session, ("postgres",), 0, 0),
    "lock table": (4, lock_table, TABLES, 0.1, 12),
    "new timeline": (1, new_timeline, ("postgres",), 0, 0),
    "lose history": (1, lose_history, ("postgres",), 0, 6),
    "stop log reader": (4, stop_log_reader, DAEMONS, 1, 20),
}


def kinds(links):
    """All kinds of faults: PROCESSES, and the network faults of the links."""
    network = {kind: (6, spoil_link, links, 0.1, 25) for kind in NETWORK}
    to_sqs = [link for link in links if link.endswith(":sqs")]
    return PROCESSES | network | {"spoil": (3, spoil_link, to_sqs, 0.1, 25)}


def draw(seed, duration, links):
    """Returns the faults of a run, sorted by time. Seed, duration and links determine them."""
    rng, table, faults, at = random.Random(seed), kinds(links), [], QUIET_START
    weights = [row[0] for row in table.values()]
    while at < duration:
        kind = rng.choices(list(table), weights)[0]
        _, _, targets, least, most = table[kind]
        value = {"latency": rng.uniform(0.02, 0.6), "slow": rng.choice([200, 1000, 5000]),
                 "kill session": rng.randrange(8)}.get(kind, 0)
        faults.append(Fault(at, kind, rng.choice(targets), least + (most - least) * rng.random() ** 3,
                            rng.choice(["up", "down", "both"]), value))
        at += rng.expovariate(1 / (CALM_GAP if rng.random() < CALM else GAP))
    return faults


async def play(stage, faults, failures):
    """Injects the faults at their times, those of one target one after the other. Returns the number of each kind."""
    start, locks, done = asyncio.get_running_loop().time(), collections.defaultdict(asyncio.Lock), collections.Counter()
    table = kinds(stage.links)

    async def do(fault):
        target = fault.target if fault.kind in PROCESSES else "link"
        kind = f"{fault.kind} {target}".replace(" daemon", "").replace(" part", "")
        async with locks[fault.target]:
            try:
                began = time.time()
                await table[fault.kind][1](stage, fault)
                stage.troubles.append((kind, began, time.time()))
                if COSTLY.fullmatch(f"{fault.kind} {fault.target}"):
                    stage.setbacks.append((time.time(), fault.target))
                done[kind] += 1
            except Exception as error:  # a daemon did not start again, or did not stop cleanly
                failures.append(f"{fault.kind} {fault.target} at {fault.at:.1f} s: {error}")

    tasks = []
    for fault in faults:
        await asyncio.sleep(max(0, start + fault.at - asyncio.get_running_loop().time()))
        tasks.append(asyncio.create_task(do(fault)))
    await asyncio.gather(*tasks)
    return done
