"""A Celery project with a worker, Herald beside it, and a day of tasks in its store:
what a person on duty is asked about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from typing import Any, cast

from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.redis.store import RedisStore
from tests.support.celery.default_project import Stranger
from tests.support.herald.memory_server import worker_of
from tests.support.herald.process import HeraldProcess
from tests.support.model.deploys import store_deploy
from tests.support.schedules.stored import make_spec, store_schedule

ORDER = 12_345
FAILED = 37
"""Failures of the last ten minutes with the most frequent cause."""

OTHERS = 9
"""Failures of the last ten minutes with another cause."""

PENDING = 12
WORKER = "mail@w7"
CLOCK = "02:13"
QUIET_QUEUE = "later"
"""A queue that no worker consumes."""

DUPLICATE = (
    'Traceback (most recent call last):\n  File "/srv/shop/billing.py", line 88, in '
    "charge\npsycopg.errors.UniqueViolation: duplicate key of order\n"
)
TIMEOUT = (
    'Traceback (most recent call last):\n  File "/srv/shop/bank.py", line 12, in ask\n'
    "TimeoutError: the bank did not answer\n"
)


class NightShift:
    """All of it; `url` is the page with its token."""

    def __init__(self, place: Path, redis: str, tasks: int) -> None:
        self._base = redis.rpartition("/")[0]
        self._tasks = tasks
        self.project = Stranger(place, f"{self._base}/1", f"{self._base}/3", "threads")
        app = cast(Any, self.project.app)
        app.conf.task_send_sent_event = True
        self.app = app
        self.herald = HeraldProcess(
            place / "up.log",
            *("up", "--broker", f"{self._base}/1", "--backend", f"{self._base}/3"),
            *("--store", f"{self._base}/2"),
            HERALD_SCHEDULES_EVERY="0",  # the stored ones are not followed
        )

    @property
    def url(self) -> str:
        """The address of the page."""
        return self.herald.url

    def start(self) -> None:
        """Store the day, and start everything.

        Not the other way round: what comes late into a past minute is counted late.
        """
        self.project.start_worker(2)
        with ThreadPoolExecutor(1) as thread:  # Playwright has the loop of this one
            thread.submit(lambda: asyncio.run(self._fill(time.time()))).result()
        self.herald.start()
        self.herald.post("api/v1/marks", {"what": "deploy 4f1c", "at": self._deployed})

    def stop(self) -> None:
        """Stop everything."""
        self.herald.stop()
        self.project.stop()

    def send_pending(self) -> None:
        """Send tasks to a queue that nobody consumes."""
        for k in range(PENDING):
            self.app.send_task("shop.pack", [k], queue=QUIET_QUEUE)

    def consumes(self, queue: str) -> bool:
        """Return True if the worker consumes `queue`."""
        asked = self.app.control.inspect(timeout=5, limit=1)
        answers: dict[str, list[dict[str, Any]]] = asked.active_queues() or {}
        return any(one["name"] == queue for each in answers.values() for one in each)

    async def _fill(self, now: float) -> None:
        deploy = now - 1_800
        self._deployed = to_rfc3339(deploy)
        store = RedisStore(f"{self._base}/2")
        await store.open()
        try:
            everything = chain(
                make_orders(self._tasks, now),
                make_failures("dup", FAILED, now - 300, DUPLICATE),
                make_failures("bank", OTHERS, now - 280, TIMEOUT),
                make_failures("old", 60, now - 3_000, TIMEOUT),
                make_failures("olddup", 5, now - 1_500, DUPLICATE),
                make_run("at-night", WORKER, find_clock(now)),
            )
            for batch in make_batches(everything):
                await store.store(batch, now=batch[-1].at)
            await store.store([], [worker_of(WORKER)], now=now)
            await store_deploy(store, deploy, now)
            await store_schedule(store, make_spec("nightly-invoices"), missed=1)
        finally:
            await store.close()


def find_clock(now: float) -> float:
    """Return the latest whole minute that was at `CLOCK` and is over, and 20 s more."""
    at = datetime.fromtimestamp(now, UTC).replace(hour=2, minute=13, second=20)
    return (at if at.timestamp() < now - 60 else at - timedelta(days=1)).timestamp()


def make_batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield the events of each minute, as a monitor stored them then."""
    ordered = sorted(events, key=lambda event: event.at)
    for _, minute in groupby(ordered, lambda event: event.at // 60):
        yield list(minute)


def make_orders(count: int, now: float) -> Iterator[Event]:
    """Yield `count` payments of the last hours, each of an order of its own; `ORDER`
    is among them, and no other number contains it."""
    first = max(ORDER - count // 2, 1_000)
    for k in range(count):
        order = first + k
        kwargs = f"{{'order_id': {order}}}"
        at = now - 4 * 3_600 + k * 3 * 3_600 / count
        yield from make_run(f"order-{order}", "shop@w1", at, kwargs=kwargs)


def make_run(key: str, host: str, at: float, **told: Any) -> Iterator[Event]:
    """Yield a run that succeeded, received at `at`."""
    common: dict[str, Any] = {
        "task_id": key,
        "host": host,
        "pid": 7,
        "name": "shop.pay",
    }
    yield Event(kind="received", at=at, clock=1, **common, **told)
    yield Event(kind="started", at=at + 0.01, clock=2, **common)
    yield Event(
        kind="succeeded", at=at + 0.3, clock=3, **common, runtime=0.29, result="2"
    )


def make_failures(
    key: str, count: int, since: float, traceback: str
) -> Iterator[Event]:
    """Yield `count` failures of one cause, one each second from `since` on.

    They were received ten minutes before, as after a long time in the queue.
    """
    exception = traceback.splitlines()[-1].rpartition(".")[2]
    for k in range(count):
        common: dict[str, Any] = {"task_id": f"{key}-{k}", "host": "shop@w1", "pid": 7}
        common |= {"name": "shop.note"}
        sent: dict[str, Any] = {"args": f"('{key} {k}',)", "kwargs": "{}"}
        yield Event(kind="received", at=since + k - 600, clock=1, **common, **sent)
        yield Event(kind="started", at=since + k - 1, clock=2, **common)
        told: dict[str, Any] = {"exception": exception, "traceback": traceback}
        yield Event(kind="failed", at=since + k, clock=3, **common, **told)
