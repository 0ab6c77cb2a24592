"""What became slower since a mark, from the minutes of a store."""

from __future__ import annotations

import time

import pytest

from herald_core.model.documents import replace_with
from herald_core.model.marks.mark import MARK_KIND, Mark, to_document_data
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_server.insight.deploys.comparer import DeployComparer
from herald_server.insight.deploys.marks import UnknownMark
from herald_server.insight.stats.rollup_cache import RollupCache
from tests.support.model.deploys import store_deploy

pytestmark = pytest.mark.anyio

NOW = time.time()
DEPLOYED = NOW - 1_800


async def put_mark(store: MemoryStore, id_: str, at: float) -> None:
    mark = Mark(id=id_, at=to_rfc3339(at), kind="deploy", what="deploy 4f1c")
    updates = {id_: replace_with(to_document_data(mark))}
    await store.update_documents(MARK_KIND, updates, now=NOW, seconds=3_600)


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore()
    await store_deploy(made, DEPLOYED, NOW)
    await put_mark(made, "m1", DEPLOYED)
    return made


def make_comparer(store: MemoryStore) -> DeployComparer:
    return DeployComparer(store, RollupCache(store))


async def test_what_is_slower_and_what_fails_more_is_listed(store: MemoryStore) -> None:
    found = await make_comparer(store).list_slower(None, 3_600, NOW)
    assert [one.name for one in found.slower] == ["shop.charge"]
    assert [one.name for one in found.failing_more] == ["shop.mail"]
    assert found.counts == {"slower": 1, "similar": 1, "unknown": 1}
    assert found.whole
    assert found.message.startswith(
        f"Of 3 names 1 is slower since deploy 4f1c ({found.mark.at[11:16]} UTC): "
        "shop.charge median ≈ 939 ms → ≈ 4.47 s"
    )
    assert "1 fails more often: shop.mail 3.3% → 66.7% (2 of 60, 40 of 60)." in (
        found.message
    )
    assert "1 had fewer than 20 runs on one side and is not judged." in found.message


async def test_one_name_is_compared_whatever_it_shows(store: MemoryStore) -> None:
    comparer = make_comparer(store)
    charge = await comparer.compare_name("shop.charge", "m1", 3_600, NOW)
    assert charge.comparison.p95_ratio == pytest.approx(4.5, rel=0.2)
    assert ": slower since deploy 4f1c" in charge.message
    mail = await comparer.compare_name("shop.mail", "m1", 3_600, NOW)
    assert "takes about as long as before" in mail.message
    assert "It fails more often: shop.mail" in mail.message
    quiet = await comparer.compare_name("shop.quiet", "m1", 3_600, NOW)
    assert "is not judged: 5 runs" in quiet.message
    nobody = await comparer.compare_name("nobody", "m1", 3_600, NOW)
    assert (nobody.comparison.runtime, nobody.comparison.before.ended) == ("unknown", 0)


async def test_a_change_back_is_faster_and_fails_less(store: MemoryStore) -> None:
    await store_deploy(store, DEPLOYED, NOW)
    await put_mark(store, "late", NOW)
    found = await make_comparer(store).list_slower(None, 3_600, NOW)
    assert found.mark.id == "late"
    assert found.counts == {"unknown": 3}
    assert found.message.startswith("Of 3 names none is slower since deploy 4f1c")


async def test_minutes_that_are_forgotten_are_said(store: MemoryStore) -> None:
    await put_mark(store, "old", NOW - 86_400 + 600)
    comparer = make_comparer(store)
    found = await comparer.list_slower("old", 3_600, NOW)
    assert "of the time before, only a part is still known" in found.message
    await put_mark(store, "older", NOW - 90_000)
    found = await comparer.list_slower("older", 3_600, NOW)
    assert "of the time before, nothing is still known" in found.message


async def test_a_mark_that_is_not_known_is_refused(store: MemoryStore) -> None:
    comparer = make_comparer(store)
    with pytest.raises(UnknownMark, match="no mark 'm9' is known"):
        await comparer.list_slower("m9", 3_600, NOW)
    with pytest.raises(UnknownMark, match="no mark is known yet: set one with"):
        await make_comparer(MemoryStore()).list_slower(None, 3_600, NOW)
