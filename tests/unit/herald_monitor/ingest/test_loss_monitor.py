"""Counted starts that were not heard become gaps, one for all workers."""

import asyncio
import time
from typing import cast

import pytest

from herald_core.model.events.event import Event
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import parse_worker
from herald_monitor.celery_client.workers.inspect import (
    WorkerInspector,
    WorkersUnreachable,
)
from herald_monitor.ingest import loss_monitor
from herald_monitor.ingest.loss_monitor import LossMonitor
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


class Asked:
    """Workers that say which of them keep silent about some tasks."""

    def __init__(self, *silent: str, deaf: bool = False) -> None:
        self.silent, self.deaf = set(silent), deaf

    async def find_silent_workers(
        self, hostnames: list[str], within: float
    ) -> set[str]:
        if self.deaf:
            raise WorkersUnreachable("nobody answers")
        return self.silent & set(hostnames)


def beat(host: str, clock: int, processed: int) -> Worker:
    """Return a heartbeat."""
    raw = {"type": "worker-heartbeat", "hostname": host, "pid": 7, "clock": clock}
    worker = parse_worker({**raw, "processed": processed, "timestamp": 1.0}, 1.0)
    assert worker is not None
    return worker


def lose(found: LossMonitor, host: str, number: int) -> None:
    """Let `host` start tasks of which one is heard and `number` are not."""
    found.on_task_event(
        Event(kind="started", task_id="t", at=1.0, host=host, pid=7, clock=1)
    )
    for turn in range(5):
        counted = 1 + (number if turn else 0)
        found.on_worker_event(beat(host, 2 + turn, counted), 100.0 + 2 * turn)


async def gaps_of(asked: Asked, **lost: int) -> list[tuple[str, int]]:
    """Return the gaps that are opened where `lost` starts of each host are."""
    gaps: list[tuple[str, int]] = []
    found = LossMonitor(
        cast(WorkerInspector, asked), lambda _s, _u, reason, n: gaps.append((reason, n))
    )
    running = asyncio.create_task(found.run())
    for host, number in lost.items():
        lose(found, host, number)
    given_up = time.monotonic() + 0.3
    await wait_until_async(lambda: gaps or time.monotonic() > given_up)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return gaps


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_monitor, "COLLECT_S", 0.01)


async def test_what_several_workers_miss_is_one_gap() -> None:
    [(reason, number)] = await gaps_of(Asked(), a=3, b=2)
    assert number == 5
    assert "5 starts of tasks on 2 workers: a, b" in reason


async def test_where_nothing_is_missing_there_is_no_gap() -> None:
    assert await gaps_of(Asked(), a=0) == []


async def test_a_worker_with_tasks_without_events_is_not_believed() -> None:
    [(reason, number)] = await gaps_of(Asked("a"), a=3, b=1)
    assert (number, reason[:32]) == (1, "1 start of a task on worker b we")


async def test_who_cannot_be_asked_is_believed() -> None:
    assert [n for _, n in await gaps_of(Asked(deaf=True), a=3)] == [3]
