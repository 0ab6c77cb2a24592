"""Events through the outbox: `python -m tests.bench.outbox [--rate R] [--seconds S]`.

Two monitors share one stream and one store; beside them, in the same run, one monitor
takes the same events from the broker's pub/sub. Then a rate is held for a while, and
one of the two monitors is killed in the middle if `--kill` is given.
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from herald_core.model.monitors import MonitorView
from herald_core.store.redis.store import RedisStore
from tests.bench import ingest
from tests.bench.ingest import A_TASK, all_final, connected, cpu_of, running
from tests.bench.processes import PipedProcess
from tests.bench.table import Table
from tests.support.servers.redis import private_valkey

MONITORS = 2
CYCLE_TASKS = 20_000
"""Tasks that are made before, and written again under new ids."""

FANOUT = "pub/sub, one monitor"
OUTBOX = "outbox, two monitors"
OUTBOX_ALONE = "outbox, one monitor"


@dataclass(frozen=True)
class Taken:
    """What became of the events: stored a second, lost, and how far behind at most."""

    rate: float
    cpu: float
    """µs of all monitors an event."""
    lost: int
    unread: int = 0
    """The most entries that waited in the stream."""
    lag_s: float = 0.0
    written_s: float = 0.0
    """Seconds that it took to write them."""


@contextmanager
def sharing(number: int) -> Generator[tuple[str, str, list[int]]]:
    """Run monitors that share a stream; yields the URLs, and their process ids."""
    with ExitStack() as stack:
        broker = stack.enter_context(private_valkey())
        stored = stack.enter_context(private_valkey())
        pids: list[int] = []
        for _ in range(number):
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            own = running(broker.url, stored.url, place)
            pids.append(stack.enter_context(own))
        yield broker.url, stored.url, pids


def take(
    cycles: int,
    rate: float = 0.0,
    *,
    tasks: int = CYCLE_TASKS,
    kill: bool = False,
    monitors: int = MONITORS,
    warm: bool = False,
) -> Taken:
    """Let monitors take the events of so many cycles of tasks.

    `warm`: they take a cycle before, which is not measured.
    """
    with sharing(monitors) as (url, stored, pids):
        words = ["-m", "tests.bench.outbox_publishing", url, "--tasks", str(tasks)]
        first = PipedProcess([*words, "--seed", "2"]) if warm else None
        words += ["--cycles", str(cycles), "--rate", str(rate)]
        writer = PipedProcess(words)
        victim = pids[0] if kill else None
        return asyncio.run(_take(stored, pids, (first, writer), tasks, cycles, victim))


async def _warm_up(store: RedisStore, first: PipedProcess | None, tasks: int) -> int:
    """Let the monitors start what they start under load; return the tasks stored."""
    if first is None:
        return 0
    first.go()
    await asyncio.to_thread(first.read_seconds)
    return await all_final(store, tasks)


async def _take(
    stored: str,
    pids: list[int],
    writers: tuple[PipedProcess | None, PipedProcess],
    cycle_tasks: int,
    cycles: int,
    victim: int | None,
) -> Taken:
    (first, writer), tasks = writers, cycles * cycle_tasks
    store = RedisStore(stored)
    await store.open()
    watching = asyncio.create_task(_watch(store))
    try:
        await connected(store)
        known = await _warm_up(store, first, cycle_tasks)
        before, begin = sum(map(cpu_of, pids)), time.perf_counter()
        writer.go()
        killing = asyncio.create_task(_kill_halfway(store, tasks, victim))
        done = await all_final(store, known + tasks) - known
        took = time.perf_counter() - begin
        await killing
        cpu = 1e6 * (sum(map(cpu_of, pids)) - before) / (tasks * A_TASK)
        written = await asyncio.to_thread(writer.read_seconds)
    finally:
        watching.cancel()
        [seen] = await asyncio.gather(watching, return_exceptions=True)
        await store.close()
    unread, lag = seen if isinstance(seen, tuple) else (0, 0.0)
    rate = tasks * A_TASK / took
    return Taken(rate, cpu, A_TASK * (tasks - done), unread, lag, written)


async def _kill_halfway(store: RedisStore, tasks: int, victim: int | None) -> None:
    while victim is not None:
        if await ingest.count_final(store) >= tasks / 2:
            os.kill(victim, signal.SIGKILL)
            return
        await asyncio.sleep(0.05)


async def _watch(store: RedisStore) -> tuple[int, float]:
    """Return the most entries that were unread, and the longest lag, once cancelled."""
    unread, lag = 0, 0.0
    try:
        while True:
            found: list[MonitorView] = await store.list_monitors()
            for one in found:
                if one.outbox is not None:
                    unread = max(unread, one.outbox.unread or 0)
                    lag = max(lag, one.outbox.lag_ms / 1000)
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        return unread, lag


def measure_outbox(table: Table, quick: bool) -> None:
    """Compare the outbox with the broker's pub/sub, and hold a rate."""
    tasks, times = (10_000, 2) if quick else (50_000, 3)
    table.part(f"a flood of {A_TASK * tasks} events; best of {times}")
    fanout: list[float] = []
    numbers = {OUTBOX_ALONE: 1, OUTBOX: MONITORS}
    taken: dict[str, list[Taken]] = {what: [] for what in numbers}
    # In turns: whatever else the machine does falls on all.
    for _ in range(times):
        fanout += [cost.rate for cost in ingest.monitor(tasks)]
        for what, number in numbers.items():
            taken[what].append(take(1, tasks=tasks, monitors=number, warm=True))
    table.row(FANOUT, f"{max(fanout):8.0f}/s")
    for what, found in taken.items():
        best = max(found, key=lambda one: one.rate)
        slower = max(fanout) / best.rate
        table.row(what, describe(best), f"{what}: time of {FANOUT}", slower)
    if not quick:
        hold(table, 60_000.0, 60.0, kill=False)
        hold(table, 60_000.0, 60.0, kill=True)


def hold(table: Table, rate: float, seconds: float, *, kill: bool) -> None:
    """Write events at a rate, and tell what was reached."""
    cycles = max(round(rate * seconds / A_TASK / CYCLE_TASKS), 1)
    name = f"{rate:.0f}/s for {seconds:.0f} s{', one is killed' if kill else ''}"
    table.row(name, describe(take(cycles, rate, kill=kill)))


def describe(taken: Taken) -> str:
    """Return one line about it."""
    lost = f"LOST {taken.lost}" if taken.lost else "nothing lost"
    return (
        f"{taken.rate:8.0f}/s stored, {lost}; written in {taken.written_s:.1f} s;"
        f" {taken.cpu:.1f} µs CPU an event; at most {taken.unread} entries unread,"
        f" {taken.lag_s:.1f} s behind"
    )


def main() -> None:
    """Hold what the command line asks for, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=60_000.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    hold(Table(), given.rate, given.seconds, kill=given.kill)


if __name__ == "__main__":
    main()
