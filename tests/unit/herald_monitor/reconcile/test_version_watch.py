"""New versions of workers become marks in the store, whichever monitor looks."""

from __future__ import annotations

import time

import pytest

from herald_core.model.marks.mark import MARK_KIND, Mark, read_marks
from herald_core.model.workers.worker import ONLINE, SILENT, WorkerView
from herald_core.store.memory.store import MemoryStore
from herald_monitor.reconcile.version_watch import REWRITE_INTERVAL_S, VersionWatch

pytestmark = pytest.mark.anyio

NOW = time.time()


def make_worker(host: str, release: str | None, state: str = ONLINE) -> WorkerView:
    return WorkerView(
        id=host, hostname=host, state=state, release=release, software="py-celery 5.7.0"
    )


async def list_marks(store: MemoryStore) -> list[Mark]:
    return read_marks(await store.list_documents(MARK_KIND), NOW)


async def test_a_deploy_seen_by_two_monitors_in_turn_is_one_mark() -> None:
    store = MemoryStore()
    first, second = VersionWatch(store), VersionWatch(store)
    await first.check([make_worker("w1", "a"), make_worker("w2", "a")], NOW)
    await first.check([make_worker("w1", "b"), make_worker("w2", "a")], NOW + 5)
    await second.check([make_worker("w1", "b"), make_worker("w2", "b")], NOW + 10)
    [mark] = await list_marks(store)
    assert mark.what == "release a → b on 2 workers"


async def test_workers_that_are_gone_or_report_nothing_change_nothing() -> None:
    store, looks = MemoryStore(), [("a", ONLINE), ("b", SILENT), (None, ONLINE)]
    watch = VersionWatch(store)
    for seconds, (release, state) in enumerate(looks):
        await watch.check([make_worker("w1", release, state)], NOW + seconds)
    assert await list_marks(store) == []


async def test_what_is_known_is_stored_again_before_it_expires() -> None:
    store = MemoryStore()
    watch = VersionWatch(store)
    await watch.check([make_worker("w1", "a")], NOW)
    for kind in await store.list_items("versions"):
        await store.delete_item("versions", kind)
    for seconds in range(0, int(REWRITE_INTERVAL_S) + 20, 10):
        await watch.check([make_worker("w1", "a")], NOW + seconds)
    assert sorted(await store.list_items("versions")) == ["release", "software"]
