"""Documents in the store: published where they change, prolonged, and expired."""

from collections.abc import Mapping
from typing import Any

import pytest

from herald_core.model.documents import MAX_DOCUMENTS, DocumentUpdate, replace_with
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from tests.support.store.labs import NOW, Lab, all_changes

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0


async def put(store: Store, id_: str, data: dict[str, Any], now: float = NOW) -> int:
    updates = {id_: replace_with(data)}
    done = await store.update_documents("marks", updates, now=now, seconds=DAY_S)
    return done.changes


async def test_a_document_is_stored_and_published(lab: Lab) -> None:
    async with lab.open() as store:
        assert await put(store, "b", {"what": "deploy", "version": 2}) == 1
        assert await put(store, "a", {"what": "restart"}) == 1
        first, second = await store.list_documents("marks")
        assert (first.id, first.data) == ("a", {"what": "restart"})
        assert second.to_view() == {
            **{"id": "b", "what": "deploy", "version": 2},
            **{"updated_at": to_rfc3339(NOW), "rev": second.rev},
        }
        changes = [c async for c in all_changes(store)]
        assert [(c.kind, c.id, c.rev) for c in changes] == [
            ("marks", "b", second.rev),
            ("marks", "a", first.rev),
        ]
        assert b'"what":"deploy"' in changes[0].json


async def test_kinds_are_separate(lab: Lab) -> None:
    async with lab.open() as store:
        await put(store, "same", {"what": "deploy"})
        assert await store.list_documents("orders") == []


async def test_an_edit_gets_what_is_stored(lab: Lab) -> None:
    def count(data: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"count": (data["count"] if data else 0) + 1}

    async with lab.open() as store:
        for _ in range(3):
            await store.update_documents("marks", {"n": count}, now=NOW, seconds=60)
        [document] = await store.list_documents("marks")
        assert document.data == {"count": 3}


def keep(_: Mapping[str, Any] | None) -> None:
    return None


def add(number: int) -> DocumentUpdate:
    def update(data: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**(data or {}), f"n{number}": number}

    return update


async def test_an_edit_may_leave_the_document_as_it_is(lab: Lab) -> None:
    async with lab.open() as store:
        done = await store.update_documents("marks", {"new": keep}, now=NOW, seconds=60)
        assert done.changes == 0
        assert await store.list_documents("marks") == []


async def test_concurrent_edits_are_all_applied(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        for number in range(10):
            store = one if number % 2 or lab.url is None else other
            updates = {"shared": add(number)}
            await store.update_documents("marks", updates, now=NOW, seconds=60)
        [document] = await one.list_documents("marks")
        assert len(document.data) == 10


async def test_equal_data_is_no_change_but_lives_longer(lab: Lab) -> None:
    async with lab.open() as store:
        await put(store, "mark", {"what": "deploy"})
        assert await put(store, "mark", {"what": "deploy"}, NOW + 3_600) == 0
        await store.expire_tasks(now=NOW + DAY_S + 1_800)
        [document] = await store.list_documents("marks")
        assert document.updated_at == to_rfc3339(NOW)


async def test_a_document_expires_and_that_is_published(lab: Lab) -> None:
    async with lab.open() as store:
        await put(store, "old", {"what": "deploy"})
        await put(store, "new", {"what": "deploy"}, NOW + 60)
        await store.expire_tasks(now=NOW + DAY_S + 1)
        assert [one.id for one in await store.list_documents("marks")] == ["new"]
        *_, last = [c async for c in all_changes(store)]
        assert (last.kind, last.id, last.is_deletion) == ("marks", "old", True)


async def test_a_document_is_deleted_and_that_is_published(lab: Lab) -> None:
    async with lab.open() as store:
        await put(store, "mark", {"what": "deploy"})
        ids = ["mark", "unknown"]
        assert await store.delete_documents("marks", ids, now=NOW) == 1
        assert await store.list_documents("marks") == []
        *_, last = [c async for c in all_changes(store)]
        assert (last.kind, last.id, last.is_deletion) == ("marks", "mark", True)


async def test_the_number_of_documents_is_bounded(lab: Lab) -> None:
    async with lab.open() as store:
        for at in range(2):
            updates = {
                f"{at}-{n}": replace_with({"n": n}) for n in range(MAX_DOCUMENTS - 10)
            }
            now = NOW + at
            await store.update_documents("marks", updates, now=now, seconds=DAY_S)
        await store.expire_tasks(now=NOW + 30)
        kept = [one.id for one in await store.list_documents("marks")]
        assert len(kept) == MAX_DOCUMENTS
        assert sum(id_.startswith("1-") for id_ in kept) == MAX_DOCUMENTS - 10


@pytest.mark.parametrize(
    ("kind", "data", "seconds"),
    [
        ("tasks", {}, 60),
        ("marks", {"rev": "1"}, 60),
        ("marks", {"what": "x" * 70_000}, 60),
        ("marks", {}, 8 * DAY_S),
    ],
)
async def test_what_cannot_be_stored_is_refused(
    lab: Lab, kind: str, data: dict[str, Any], seconds: float
) -> None:
    async with lab.open() as store:
        updates = {"id": replace_with(data)}
        with pytest.raises(ValueError, match="document"):
            await store.update_documents(kind, updates, now=NOW, seconds=seconds)
