"""How a gap ends: closed when all is known, or unrepairable with the reason."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from herald_core.model.codec import to_json
from herald_core.model.gaps import CLOSED, UNREPAIRABLE, Gap
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.memory.store import MemoryStore
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.reconciling_monitor import Truth, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
MANY, FRESH = 60_000, 100


async def open_gap(store: MemoryStore) -> None:
    """Store a gap of the last ten seconds, as a monitor that starts does."""
    now = time.time()
    since, until = to_rfc3339(now - 10), to_rfc3339(now)
    await store.open_gap(
        Gap(id=uuid4().hex, since=since, until=until, reason="no monitor was running")
    )


async def end_of_gap(held: Truth) -> Gap:
    """Return the gap, once it has ended."""
    [gap] = await held.closed(30)
    return gap


def make_metas(ids: Iterable[str], age: timedelta) -> dict[str, bytes]:
    """Return what Celery stores of tasks that succeeded so long ago."""
    at = (datetime.now(UTC) - age).isoformat()
    meta = {"status": "SUCCESS", "result": 1, "traceback": None, "date_done": at}
    return {f"celery-task-meta-{id_}": to_json({**meta, "task_id": id_}) for id_ in ids}


async def test_all_of_very_many_results_are_searched(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    old = [f"old{number}" for number in range(MANY)]
    fresh = [f"fresh{number}" for number in range(FRESH)]
    with valkey.client() as client:
        for start in range(0, MANY, 10_000):
            metas = make_metas(old[start : start + 10_000], timedelta(hours=2))
            cast(Any, client).mset(metas)
        cast(Any, client).mset(make_metas(fresh, timedelta(seconds=1)))
    store = MemoryStore()
    await store.open()
    await open_gap(store)
    async with truth(project_app(valkey.url, valkey.url), store) as held:
        gap = await end_of_gap(held)
        await held.are(fresh, "SUCCESS")
        assert held.count("found") == FRESH
        assert held.count("searched") == MANY + FRESH
    assert (gap.state, gap.repaired) == (CLOSED, FRESH)
    assert gap.searched == gap.to_search == MANY + FRESH


@pytest.mark.parametrize(
    ("backend", "state", "words"),
    [
        (None, UNREPAIRABLE, "no result backend is configured"),
        ("rpc://", UNREPAIRABLE, "go only to the sender"),
        ("cache+memory://", UNREPAIRABLE, "cannot be searched"),
        ("db+sqlite:///{folder}/results.db", CLOSED, ""),
        ("file://{folder}", CLOSED, ""),
    ],
)
async def test_each_backend_ends_a_gap_as_it_can(
    valkey: PrivateValkey,
    project_app: AppFactory,
    tmp_path: Path,
    backend: str | None,
    state: str,
    words: str,
) -> None:
    url = backend and backend.format(folder=tmp_path)
    store = MemoryStore()
    await store.open()
    await open_gap(store)
    async with truth(project_app(valkey.url, url), store) as held:
        gap = await end_of_gap(held)
    assert gap.state == state
    assert words in gap.unrepaired
    assert bool(words) == bool(gap.unrepaired)


async def test_results_that_workers_do_not_keep_are_named(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    celery_worker(app, pool="threads")
    store = MemoryStore()
    await store.open()
    async with truth(app, store) as held:
        await wait_until_async(lambda: store.list_workers(now=time.time()))
        await open_gap(store)
        gap = await end_of_gap(held)
    assert gap.state == UNREPAIRABLE
    assert "ignore_result" in gap.unrepaired
