"""What events cost a worker: Celery's own, and the outbox in their place or beside.

Each turn is a worker of its own that empties a queue of tasks that do nothing. The
kinds take turns, so that whatever else the machine does falls on all of them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

from herald_core.system.subprocesses import kill_group, spawn, terminate
from herald_worker.outbox.stream_format import DEFAULT_STREAM, EVENTS
from tests.bench.table import Table
from tests.bench.worker_project import BROKER
from tests.support.environment import ROOT
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

QUEUE = "celery"
PROJECT = "tests.bench.worker_project"
TASK_EVENTS = 3
"""Events of a task that a worker makes: received, started, succeeded."""

CELERY = "Celery's own events"
KINDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    CELERY: (("-E",), {}),
    "outbox": (("-I", "herald_worker.auto"), {}),
    "outbox, and Celery's own": (
        ("-E", "-I", "herald_worker.auto"),
        {"HERALD_OUTBOX_ALSO_PUBLISH": "1"},
    ),
}
"""The options and the environment of each kind of worker."""

SEND = f"""
from {PROJECT} import app, nothing
with app.producer_or_acquire() as producer:
    for number in range({{tasks}}):
        nothing.apply_async((number,), producer=producer)
"""


@dataclass(frozen=True)
class Turn:
    """What a worker needed for the tasks of one turn."""

    tasks_per_s: float
    cpu_us: float
    """CPU of its main process, microseconds a task."""
    stream_bytes: float
    """Memory of the stream in Redis, bytes an event; 0 without a stream."""
    delays_ms: list[float]
    """Milliseconds from the making of each event to its arrival in the stream."""


def measure_worker(table: Table, quick: bool) -> None:
    """Compare the outbox with Celery's own events."""
    tasks, turns = (2000, 3) if quick else (4000, 5)
    table.part(f"a worker's {tasks} tasks that do nothing, {turns} turns: median (all)")
    found: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
    for turn in range(turns):
        kinds = list(KINDS)
        for kind in kinds[turn % 3 :] + kinds[: turn % 3]:
            found[kind].append(measure_turn(kind, tasks))
    for kind, of_kind in found.items():
        _print_kind(table, kind, of_kind, found[CELERY])


def _print_kind(table: Table, kind: str, found: list[Turn], own: list[Turn]) -> None:
    cpu, rate = [turn.cpu_us for turn in found], [turn.tasks_per_s for turn in found]
    figures = f"{median(cpu):6.0f} µs CPU ({min(cpu):.0f} to {max(cpu):.0f})"
    ratio = "" if found is own else f"worker with {kind}: CPU of Celery's"
    table.row(kind, figures, ratio, _compare(found, own, lambda turn: turn.cpu_us))
    figures = f"{median(rate):6.0f} tasks/s ({min(rate):.0f} to {max(rate):.0f})"
    ratio = ratio and f"worker with {kind}: time of Celery's"
    value = 1 / _compare(found, own, lambda turn: turn.tasks_per_s)
    table.row("", figures, ratio, value)
    if found[0].stream_bytes:
        _print_stream(table, found)


def _print_stream(table: Table, found: list[Turn]) -> None:
    delays = sorted(delay for turn in found for delay in turn.delays_ms)
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    table.row("", f"{median(t.stream_bytes for t in found):6.0f} bytes an event")
    table.row("", f"{p50:6.1f} ms (p50), {p99:.1f} ms (p99) until an event is stored")


def _compare(
    found: list[Turn], own: list[Turn], read: Callable[[Turn], float]
) -> float:
    """Return the median of the ratios, turn by turn."""
    pairs = zip(found, own, strict=True)
    return median(read(one) / read(other) for one, other in pairs)


def measure_turn(kind: str, tasks: int) -> Turn:
    """Run one worker of a kind until it has run all tasks."""
    options, settings = KINDS[kind]
    with private_valkey() as server, tempfile.TemporaryDirectory() as place:
        env = {**os.environ, BROKER: server.url, "PYTHONPATH": str(ROOT), **settings}
        send = [sys.executable, "-c", SEND.format(tasks=tasks)]
        subprocess.run(send, env=env, check=True)
        words = [sys.executable, "-m", "celery", "-A", PROJECT, "worker", *options]
        words += ["-c", "2", "-l", "ERROR", "--without-mingle"]
        with server.client() as client:
            worker = spawn(words, Path(place) / "worker.log", env=env)
            try:
                rate, cpu = _empty_queue(client, worker.pid, tasks)
                if kind != CELERY:
                    wait_until(
                        lambda: len(_read_task_events(client)),
                        15,
                        "all events are there",
                        accept=lambda number: number == TASK_EVENTS * tasks,
                    )
                stream_bytes, delays_ms = _measure_stream(client)
            finally:
                terminate(worker, 10)
                kill_group(worker)
    return Turn(rate, cpu * 1e6, stream_bytes, delays_ms)


def _empty_queue(client: Any, pid: int, tasks: int) -> tuple[float, float]:
    """Return tasks a second, and seconds of CPU a task, from the first to the last."""
    left = wait_until(
        lambda: client.llen(QUEUE), 30, "it has begun", accept=lambda n: n < tasks
    )
    begin, cpu = time.perf_counter(), read_cpu(pid)
    wait_until(
        lambda: client.llen(QUEUE) + client.hlen("unacked"),
        120,
        "all are done",
        accept=lambda number: not number,
    )
    took = time.perf_counter() - begin
    return left / took, (read_cpu(pid) - cpu) / left


def read_cpu(pid: int) -> float:
    """Return the seconds of CPU of a process, all its threads, to the microsecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _measure_stream(client: Any) -> tuple[float, list[float]]:
    """Return bytes an event, and the delays in milliseconds."""
    events = _read_task_events(client)
    if not events:
        return 0.0, []
    size = client.memory_usage(DEFAULT_STREAM, samples=0)
    return size / len(events), [at - 1000 * event["timestamp"] for at, event in events]


def _read_task_events(client: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return the events of tasks in the stream, each with its time of arrival."""
    found = cast(list[Any], client.xrange(DEFAULT_STREAM))
    return [
        (int(entry_id.partition(b"-")[0]), event)
        for entry_id, fields in found
        for event in json.loads(fields[EVENTS.encode()])
        if str(event["type"]).startswith("task-")
    ]
