"""Processes that share a nodename: each answer counts, and so does what each has."""

import asyncio
import time
from typing import Any

import pytest

from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.reconcile.queue_metrics import QueueMetrics
from tests.support.celery.project import ANSWERS_AFTER
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.reconciling_monitor import submit, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

NAME = "worker@prod"
EVENLY: dict[str, object] = {"worker_disable_prefetch": True}
"""So that neither of two workers takes more than it can run."""


class Pair:
    """Two workers of one name; the second answers late if it is `far`."""

    def __init__(self, app: Any, tmp_path: Any, far: float = 0.1) -> None:
        self._app = app
        self.near, self.away = (
            Worker(
                app, tmp_path / f"{n}.log", pool="threads", concurrency=2, hostname=NAME
            )
            for n in ("near", "away")
        )
        self._far = far

    def __enter__(self) -> "Pair":
        self.near.start()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(ANSWERS_AFTER, str(self._far))
            self.away.start()
        # Any answer by the name satisfies `start`, so the log must tell of the second.
        log = self.away.log
        wait_until(lambda: " ready." in log.read_text(), 30, "the second is ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.near.kill()
        self.away.kill()


async def test_every_process_of_a_name_is_asked_and_counted(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Any
) -> None:
    app = project_app(valkey.url, valkey.url, herald_shared=EVENLY)
    with Pair(app, tmp_path):
        async with truth(app) as held:
            ids = [submit(app, "sleepy", 40) for _ in range(4)]
            await held.are(ids, "STARTED", 30)
            await held.looks(6)
            assert set((await held.states(ids)).values()) == {"STARTED"}
            assert held.count("lost") == 0
            gauging = QueueMetrics(app, held.store, lambda: True)

            async def counted() -> bool:
                await gauging.measure()
                [one] = await held.store.list_workers(now=time.time())
                return (one.slots, one.processes, one.active) == (4, 2, 4)

            await wait_until_async(
                counted, 30, "slots and running tasks are those of both"
            )
            [one] = await held.store.list_workers(now=time.time())
            assert "2 processes share the name worker@prod" in str(one.note)


async def test_the_end_of_one_is_not_the_end_of_the_other(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Any
) -> None:
    """What ran on the one that was killed is lost; what runs on the other is not."""
    app = project_app(valkey.url, valkey.url, herald_shared=EVENLY)
    with Pair(app, tmp_path) as pair:
        async with truth(app) as held:
            ids = [submit(app, "sleepy", 60) for _ in range(4)]
            await held.are(ids, "STARTED", 30)
            inspection = WorkerInspector(app)
            told = await inspection.inspect([NAME], 2.0, {NAME: 2})
            assert set(ids) <= told.held_ids
            assert (set(told.answered), dict(told.partial_answers)) == (
                {NAME},
                {NAME: 2},
            )
            pair.away.kill()

            async def some() -> bool:
                states = list((await held.states(ids)).values())
                return states.count("LOST") == 2

            await wait_until_async(some, 40, "the two of the dead process are lost")
            await asyncio.to_thread(pair.near.stop, 0.1)
            inspection.close()
