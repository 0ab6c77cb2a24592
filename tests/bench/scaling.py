"""Ingest by several monitors and nodes: `python -m tests.bench.scaling --out FILE`.

Monitors share the streams of an outbox; the store is one server, or partitions on a
cluster of Valkey. Each process is pinned to a core, in turns, as `taskset` does. Two
cores cannot show that four monitors take twice what two do. So the bench prints CPU an
event of each process: `all` must not grow with their number, and `ceiling` is how many
events a second the busiest process, alone on a core, leaves room for. `--runs 3`
repeats all cases, in turns; results add up in the file, and are printed with medians.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_core.store.ports import Store
from tests.bench.ingest import (
    A_TASK,
    all_final,
    connected,
    count_final,
    cpu_of,
    running,
)
from tests.bench.processes import PipedProcess
from tests.support.servers.redis import private_valkey
from tests.support.servers.redis_cluster import cluster

STREAMS = 4
"""Each task is in one of them."""

PARTITIONS = 12
"""On a cluster: four, six or twelve a node."""

TASKS = 10_000
CYCLES = 2
"""The first warms the monitors up, and is not counted."""

Row = dict[str, float]


class Case(NamedTuple):
    """How many monitors take events, and how many nodes store them (0: no cluster)."""

    monitors: int
    nodes: int

    @property
    def partitions(self) -> int:
        """Partitions of the store."""
        return PARTITIONS if self.nodes else 1


CASES = [Case(m, n) for n in (0, 1, 2, 3) for m in (1, 2, 4)]


class Place(NamedTuple):
    """What runs: the URLs, and the process ids of each part."""

    broker: str
    store: str
    parts: dict[str, list[int]]


@contextmanager
def place(case: Case) -> Generator[Place]:
    """Run all parts, each process on one core."""
    with ExitStack() as stack:
        broker = stack.enter_context(private_valkey())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if case.nodes:
            made = stack.enter_context(cluster(folder / "nodes", case.nodes))
            url, nodes = made.url, [one.pid for one in made.primaries]
        else:
            stored = stack.enter_context(private_valkey())
            url, nodes = stored.url, [stored.pid or 0]
        monitors: list[int] = []
        for number in range(case.monitors):
            (own := folder / f"monitor{number}").mkdir()
            started = running(broker.url, url, own, writers=0, **_settings(case))
            monitors.append(stack.enter_context(started))
        parts = {"monitor": monitors, "node": nodes, "broker": [broker.pid or 0]}
        cores = sorted(os.sched_getaffinity(0))
        for turn, pid in enumerate(pid for pids in parts.values() for pid in pids):
            _pin(pid, cores[turn % len(cores)])
        yield Place(broker.url, url, parts)


def _settings(case: Case) -> dict[str, str]:
    return {
        "HERALD_OUTBOX_STREAMS": str(STREAMS),
        "HERALD_PARTITIONS": str(case.partitions),
    }


def _pin(pid: int, core: int) -> None:
    """Keep a process on a core (Linux)."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


async def take(case: Case, tasks: int) -> Row:
    """Let monitors take some cycles of tasks; return what the last one cost."""
    with place(case) as own:
        store = make_store(
            MonitorSettings(store_url=own.store, partitions=case.partitions)
        )
        await store.open()
        try:
            await connected(store)
            while len(await store.list_monitors()) < case.monitors:
                await asyncio.sleep(0.05)
            rows = [
                await _take_cycle(store, own, tasks, cycle) for cycle in range(CYCLES)
            ]
        finally:
            await store.close()
    return rows[-1]


async def _take_cycle(store: Store, own: Place, tasks: int, cycle: int) -> Row:
    words = ["-m", "tests.bench.outbox_publishing", own.broker, "--tasks", str(tasks)]
    words += ["--streams", str(STREAMS), "--seed", str(cycle)]
    writer = await asyncio.to_thread(PipedProcess, words)
    before = _read_cpu_s(own)
    begun, done = time.perf_counter(), await count_final(store)
    writer.go()
    lost = tasks - (await all_final(store, done + tasks) - done)
    took = time.perf_counter() - begun
    await asyncio.to_thread(writer.read_seconds)
    assert not lost, f"{lost} tasks are not over"
    return _make_row(own, before, tasks * A_TASK, took)


def _read_cpu_s(own: Place) -> dict[int, float]:
    return {pid: cpu_of(pid) for pids in own.parts.values() for pid in pids}


def _make_row(own: Place, before: dict[int, float], events: int, took: float) -> Row:
    """Return µs of CPU an event: of all processes of each part, and of the busiest."""
    now = _read_cpu_s(own)
    each = {pid: 1e6 * (now[pid] - before[pid]) / events for pid in now}
    row = {part: sum(each[pid] for pid in pids) for part, pids in own.parts.items()}
    busiest = {
        f"busiest {part}": max(each[pid] for pid in pids)
        for part, pids in own.parts.items()
    }
    rates = {"all": sum(row.values()), "ceiling": 1e6 / max(busiest.values())}
    return row | busiest | rates | {"rate": events / took}


FIGURES = (
    *("monitor", "node", "broker", "all"),
    *("busiest monitor", "busiest node", "ceiling", "rate"),
)


def write_table(found: dict[str, list[Row]]) -> Iterator[str]:
    """Yield a table in Markdown: medians, the least and the most of all runs."""
    yield "| monitors | nodes | " + " | ".join(FIGURES) + " |"
    yield "|---" * (len(FIGURES) + 2) + "|"
    for case in CASES:
        if rows := found.get(str(list(case))):
            cells = [_write_cell([row[figure] for row in rows]) for figure in FIGURES]
            nodes = str(case.nodes or "1, no cluster")
            yield f"| {case.monitors} | {nodes} | {' | '.join(cells)} |"


def _write_cell(values: list[float]) -> str:
    low, middle, high = min(values), median(values), max(values)
    digits = 0 if middle >= 1_000 else 1
    text = f"{middle:,.{digits}f}"
    return text if low == high else f"{text} ({low:,.{digits}f} to {high:,.{digits}f})"


def main() -> None:
    """Measure what the command line asks for, and print all that the file has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--monitors", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--nodes", type=int, nargs="*", default=[0, 1, 2, 3])
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    found: dict[str, list[Row]] = {}
    if given.out.exists():
        found = json.loads(given.out.read_text())
    until = time.monotonic() + given.minutes * 60
    for case in [*CASES] * given.runs:
        wanted = case.monitors in given.monitors and case.nodes in given.nodes
        if wanted and time.monotonic() < until:
            row = asyncio.run(take(case, given.tasks))
            found.setdefault(str(list(case)), []).append(row)
            given.out.write_text(json.dumps(found, indent=1) + "\n")
            print(
                case, {what: round(value, 1) for what, value in row.items()}, flush=True
            )
    print("\n".join(write_table(found)))


if __name__ == "__main__":
    main()
