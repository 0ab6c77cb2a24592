"""Pages of the change log: bounded, in order, and each begins where the last ended."""

import time
from itertools import count

import pytest

from herald_core.errors import InvalidCursor
from herald_core.model.changes import LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.vector_cursor import VectorCursor
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_server.push.session.log_pages import (
    LogPage,
    LogPlace,
    parse_place,
    read_log_page,
)

pytestmark = pytest.mark.anyio

ALL = Filter()
CLOCK = count(1)


async def tell(store: Store, kind: str, *ids: str, name: str = "app.a") -> None:
    """Store one event of each task, as one entry of the log."""
    at = time.time()
    await store.store(
        [
            Event(
                kind=kind, task_id=id_, at=at, clock=next(CLOCK), host="w@h", name=name
            )
            for id_ in ids
        ],
        now=at,
    )


async def begin() -> Store:
    """Return a store whose log has an entry."""
    store = MemoryStore()
    await tell(store, "sent", "before")
    return store


async def read_all(store: Store, filter_: Filter, limit: int) -> list[LogPage]:
    """Return all pages after the first entry of the log."""
    end = await store.read_end()
    pages: list[LogPage] = []
    place = LogPlace(Cursor(end.epoch, 0))
    while True:
        page = await read_log_page(store, filter_, place, limit, end)
        assert page is not None
        if not page.has_changes:
            return pages
        pages.append(page)
        place = parse_place(str(page.place))


async def test_one_entry_is_told_in_several_pages() -> None:
    store = await begin()
    await tell(store, "sent", *(f"t{n}" for n in range(7)))
    pages = await read_all(store, ALL, 3)
    assert [list(page.put) for page in pages] == [
        ["t0", "t1", "t2"],
        ["t3", "t4", "t5"],
        ["t6"],
    ]
    assert [page.more for page in pages] == [4, 1, 0]
    assert [page.place.skip for page in pages] == [3, 6, 0]


async def test_a_task_that_changes_twice_counts_once_on_a_page() -> None:
    store = await begin()
    await tell(store, "received", "a", "b")
    await tell(store, "started", "a")
    await tell(store, "received", "c")
    [page, rest] = await read_all(store, ALL, 2)
    assert {id_: one["state"] for id_, one in page.put.items()} == {
        "a": "STARTED",
        "b": "RECEIVED",
    }
    assert list(rest.put) == ["c"]


async def test_what_leaves_the_filter_and_what_comes_back() -> None:
    store = await begin()
    await tell(store, "received", "a", "b")
    await tell(store, "started", "a", "b")
    await tell(store, "succeeded", "b")
    [page] = await read_all(store, Filter(state=("RECEIVED", "SUCCESS")), 5)
    assert (list(page.put), list(page.gone)) == (["b"], ["a"])


async def test_a_deletion_is_told_as_gone() -> None:
    store = await begin()
    at = time.time()
    sent = Event(kind="sent", task_id="a", at=at, source="submitted", name="x")
    await store.store([sent], now=at)
    assert await store.withdraw(["a"]) == 1
    pages = await read_all(store, ALL, 5)
    assert list(pages[-1].gone) == ["a"]
    assert not pages[-1].put


async def test_a_log_that_does_not_reach_back_has_no_page() -> None:
    store = MemoryStore()
    await tell(store, "sent", "a")
    end = await store.read_end()
    other = LogPlace(Cursor(end.epoch - 1, 0))
    assert await read_log_page(store, ALL, other, 5, end) is None
    ahead = Cursor(end.epoch, end.n + 5)
    assert await read_log_page(store, ALL, LogPlace(end), 5, ahead) is None


async def test_the_count_ends_after_many_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("herald_server.push.session.log_pages.MAX_COUNTED", 4)
    monkeypatch.setattr("herald_server.push.session.log_pages.READ_ENTRIES", 1)
    store = await begin()
    for n in range(4):
        await tell(store, "sent", f"a{n}", f"b{n}")
    pages = await read_all(store, ALL, 1)
    assert (pages[0].more, pages[0].is_counted) == (3, False)
    assert (pages[-1].more, pages[-1].is_counted) == (0, True)
    assert len(pages) == 8


async def test_pages_of_several_logs_end_between_entries() -> None:
    store = await begin()
    await tell(store, "sent", "a", "b")
    await tell(store, "sent", "c")
    end = await store.read_end()
    first, second = await store.read_entries(Cursor(end.epoch, 0))
    before = VectorCursor([Cursor(5, 1), Cursor(6, 1)])
    between, after = before.advance(0, Cursor(5, 2)), before.advance(1, Cursor(6, 2))
    page = LogPage(ALL, LogPlace(before), 1)
    page.add_entry(before, LogEntry(between, first.changes))
    page.add_entry(between, LogEntry(after, second.changes))
    assert (list(page.put), page.place, page.more) == (["a", "b"], (between, 0), 1)


@pytest.mark.parametrize("text", ["5-1", "5-1+3", "5-1_6-2"])
def test_a_place_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_place(text)) == text


@pytest.mark.parametrize("text", ["5-1+", "5-1+x", "+3", "5-1+99999999", "x"])
def test_other_texts_are_no_place(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_place(text)
