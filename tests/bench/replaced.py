"""What Herald replaces: asking for results each 5 s, and asking all workers."""

import asyncio
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult

from tests.bench.latency import herald
from tests.bench.table import Table
from tests.support.celery.project import environment, make_app
from tests.support.celery.worker import Worker
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey

LATENCY = {50.0: 300}
"""Events a second, and how many, by which Herald is compared."""

EVERY = 5.0
"""Seconds between two looks, as people poll."""


def measure_replaced(table: Table, quick: bool) -> None:
    """Compare knowing with asking."""
    table.part("what is replaced")
    late = polling()
    [told] = herald(LATENCY).values()
    table.row(f"AsyncResult each {EVERY:.0f} s", f"knows an end after {late:.2f} s")
    ratio = f"event to frame: p50 of polling each {EVERY:.0f} s"
    figures = f"knows an end after {told.p50:.2f} ms"
    table.row("Herald", figures, ratio, told.p50 / 1e3 / late)
    asked, read = listing()
    table.row("inspect().active()", f"{1e3 * asked:8.1f} ms")
    ratio = "list of what runs: time of inspect"
    table.row(
        "Herald's list of what runs", f"{1e3 * read:8.1f} ms", ratio, read / asked
    )


def polling(tasks: int = 60, seconds: float = 15.0) -> float:
    """Return the median seconds from a task's end to its knowledge by polling."""
    with private_valkey() as server:
        app = Celery(broker=server.url, backend=server.url, set_as_current=False)
        return asyncio.run(_polled(app, tasks, seconds))


async def _polled(app: Celery, tasks: int, seconds: float) -> float:
    chance = random.Random(5)
    ends = {str(uuid4()): chance.uniform(0.0, seconds - EVERY) for _ in range(tasks)}
    stored: dict[str, float] = {}
    begin = time.monotonic()

    async def finish(id_: str, at: float) -> None:
        await asyncio.sleep(at)
        cast(Any, app).backend.store_result(id_, 5, "SUCCESS")
        stored[id_] = time.monotonic()

    finishing = [asyncio.create_task(finish(*one)) for one in ends.items()]
    late: list[float] = []
    waiting = set(ends)
    while waiting and time.monotonic() - begin < seconds + EVERY:
        await asyncio.sleep(EVERY)
        for id_ in list(waiting):
            if AsyncResult(id_, app=app).ready():
                late.append(time.monotonic() - stored[id_])
                waiting.discard(id_)
    await asyncio.gather(*finishing)
    return statistics.median(late)


def listing(times: int = 10) -> tuple[float, float]:
    """Return the seconds that `inspect` and that Herald take to list what runs."""
    with private_valkey() as server, tempfile.TemporaryDirectory() as place:
        app = make_app(server.url, server.url)
        worker = Worker(app, Path(place) / "worker.log")
        store = server.url.rpartition("/")[0] + "/3"
        running = HeraldProcess(
            Path(place) / "herald.log",
            *("up", "-A", "tests.support.celery.project", "--store", store),
            **environment(app),  # type: ignore[arg-type]
        )
        try:
            worker.start()
            running.start()
            inspect = cast(Any, app).control.inspect()
            asked = min(_timed(inspect.active) for _ in range(max(times // 4, 2)))
            read = min(_timed(lambda: _running(running)) for _ in range(times))
        finally:
            running.stop()
            worker.stop()
    return asked, read


def _running(herald: HeraldProcess) -> bytes:
    header = {"Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(
        herald.url + "api/v1/tasks?state=STARTED", headers=header
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return bytes(answer.read())


def _timed(ask: Callable[[], object]) -> float:
    begin = time.perf_counter()
    ask()
    return time.perf_counter() - begin
