"""The index of filters against asking each of them."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.changes import WORKER, Change
from herald_core.model.codec import to_json
from herald_core.model.filters import Filter
from herald_server.push.log.filter_index import MAX_NAMES, FilterIndex, list_terms
from herald_server.push.log.hub import Hub, Subscriber, is_relevant
from tests.support.model.changes import at, change, worker

FEW = st.sampled_from(["a", "b", "c"])
STATES = st.sampled_from(["STARTED", "RETRY", "SUCCESS"])
MAYBE = st.none() | FEW
WILD = st.sampled_from(["a", "b", "*", "?", "a*"])


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(values, min_size=1, max_size=2, unique=True).map(tuple)


filters = st.builds(
    Filter,
    ids=lists(FEW),
    name=lists(WILD),
    state=lists(STATES),
    worker=lists(WILD),
    queue=lists(WILD),
    root=lists(FEW),
    parent=lists(FEW),
    group=lists(FEW),
    tag=lists(FEW),
    failure=lists(FEW),
)
"""Any key may be there; most filters that are drawn have one or two."""

VALUES = {
    "ids": FEW,
    "name": WILD,
    "state": STATES,
    "worker": WILD,
    "queue": WILD,
    "root": FEW,
    "parent": FEW,
    "group": FEW,
    "tag": FEW,
    "failure": FEW,
}


def on(key: str) -> st.SearchStrategy[Filter]:
    """Draw filters on one key alone."""

    def make(values: tuple[str, ...] | None) -> Filter:
        given: dict[str, Any] = {key: values}
        return Filter(**given)

    return lists(VALUES[key]).map(make)


sparse = st.one_of(filters, *map(on, VALUES))

changes = st.builds(
    change,
    st.integers(1, 9),
    FEW,
    STATES,
    was=st.none() | STATES,
    gone=st.booleans(),
    name=MAYBE,
    worker=MAYBE,
    queue=MAYBE,
    root_id=MAYBE,
    parent_id=MAYBE,
    group_id=MAYBE,
    tags=st.none() | st.lists(FEW, max_size=2).map(tuple),
    failure=MAYBE,
)


def moved(one: Change, worker_: str | None, queue: str | None) -> Change:
    """Let a task have been on another worker and queue before."""
    if one.before is None:
        return one
    before = msgspec.structs.replace(one.before, worker=worker_, queue=queue)
    return msgspec.structs.replace(one, before=before)


@given(st.lists(sparse, max_size=8), st.builds(moved, changes, MAYBE, MAYBE))
def test_the_hub_tells_exactly_those_whom_a_plain_scan_finds(
    asked: list[Filter], one: Change
) -> None:
    hub = Hub()
    watchers = [Subscriber(filter_, lambda: None) for filter_ in asked]
    for watcher in watchers:
        hub.subscribe(watcher)
    touched = hub.offer([one])
    assert touched == {w for w in watchers if is_relevant(w.filter, one)}
    assert touched == {w for w in watchers if w.pending}


@given(st.lists(sparse, max_size=8), st.data())
def test_who_left_is_not_found_and_the_others_are(
    asked: list[Filter], data: st.DataObject
) -> None:
    hub = Hub()
    watchers = [Subscriber(filter_, lambda: None) for filter_ in asked]
    for watcher in watchers:
        hub.subscribe(watcher)
    gone = [w for w in watchers if data.draw(st.booleans())]
    for watcher in [*gone, *gone]:
        hub.unsubscribe(watcher)
    one = data.draw(changes)
    left = set(watchers) - set(gone)
    assert hub.offer([one]) == {w for w in left if is_relevant(w.filter, one)}


@pytest.mark.parametrize(
    ("filter_", "places"),
    [
        (Filter(), []),
        (Filter(name=("a.*",)), []),
        (Filter(name=("a.*",), state=("RETRY",)), [("state", "RETRY")]),
        (Filter(name=("a",), state=("RETRY",)), [("name", "a")]),
        (Filter(name=("a", "b*"), worker=("w",)), [("worker", "w")]),
        (Filter(ids=("1", "2"), group=("g",)), [("ids", "1"), ("ids", "2")]),
        (Filter(group=("g",), state=("RETRY",)), [("group", "g")]),
    ],
)
def test_a_filter_lies_where_fewest_changes_find_it(
    filter_: Filter, places: list[tuple[str, str]]
) -> None:
    assert list_terms(filter_) == places


def test_only_filters_that_agree_are_looked_at() -> None:
    index: FilterIndex[str] = FilterIndex()
    for number in range(1_000):
        index.add(Filter(ids=(f"t{number}",)), f"id {number}")
        index.add(Filter(name=(f"n{number}",)), f"name {number}")
    index.add(Filter(name=("n*",)), "wild")
    found = index.find_candidates(change(1, "t7", name="n8"))
    assert sorted(found) == ["id 7", "name 8", "wild"]


def test_names_that_came_before_are_matched_anew_when_somebody_comes_or_goes() -> None:
    index: FilterIndex[str] = FilterIndex()
    one = change(1, name="mail.send")
    assert list(index.find_candidates(one)) == []
    index.add(Filter(name=("mail.*",)), "mail")
    assert list(index.find_candidates(one)) == ["mail"]
    index.add(Filter(name=("*.send",)), "send")
    index.add(Filter(name=("orders.*",)), "orders")
    assert sorted(index.find_candidates(one)) == ["mail", "send"]
    index.discard(Filter(name=("mail.*",)), "mail")
    assert list(index.find_candidates(one)) == ["send"]


def test_what_names_fit_is_not_remembered_without_end() -> None:
    index: FilterIndex[str] = FilterIndex()
    index.add(Filter(name=("n*",)), "n")
    for number in range(MAX_NAMES + 10):
        assert list(index.find_candidates(change(1, name=f"n{number}"))) == ["n"]
    assert len(vars(index)["_glob_matches"]) <= MAX_NAMES


def test_nothing_is_left_behind_by_those_who_left() -> None:
    index: FilterIndex[str] = FilterIndex()
    wish = Filter(ids=("a", "b"))
    index.add(wish, "g")
    index.discard(wish, "g")
    assert list(index.find_candidates(change(1, "a"))) == []
    assert vars(index)["_by_term"] == {}


def test_workers_are_told_to_whom_they_concern() -> None:
    hub = Hub()
    everybody = Subscriber(Filter(), lambda: None, WORKER)
    one = Subscriber(Filter(ids=("w1",)), lambda: None, WORKER)
    hub.subscribe(everybody)
    hub.subscribe(one)
    assert hub.offer([worker(1, "w1")]) == {everybody, one}
    assert hub.offer([worker(2, "w2")]) == {everybody}
    counted = Change(WORKER, "w3", "1-1", (at(3), 0), to_json({"id": "w3"}))
    assert hub.offer([counted]) == {everybody}


@pytest.mark.parametrize("key", ["name", "worker", "queue"])
def test_wildcards_that_do_not_match_cost_nothing_once_a_name_is_known(
    key: str,
) -> None:
    index: FilterIndex[str] = FilterIndex()
    for number in range(200):
        given_: dict[str, Any] = {key: (f"x{number}*",)}
        index.add(Filter(**given_), f"group {number}")
    fields: dict[str, Any] = {key: "x7y"}
    assert list(index.find_candidates(change(1, **fields))) == ["group 7"]
    fields = {key: "other"}
    assert list(index.find_candidates(change(1, **fields))) == []


def count_lines(work: Callable[[], object]) -> int:
    """Return how many lines of Python `work` executes."""
    lines, before = 0, sys.gettrace()

    def trace(frame: FrameType, what: str, given: object) -> Any:
        nonlocal lines
        lines += what == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def test_a_deletion_costs_no_more_with_many_watchers_of_single_tasks() -> None:
    """A sweep once visited all of them for each task that it deletes."""

    def count(watchers: int) -> int:
        index = FilterIndex[object]()
        groups = [object() for _ in range(watchers)]
        for number, group in enumerate(groups):
            index.add(Filter(ids=(f"t{number}",)), group)
        gone = change(1, "t3", "SUCCESS", gone=True)
        assert gone.is_deletion
        assert list(index.find_candidates(gone)) == [groups[3]]
        return count_lines(lambda: index.find_candidates(gone))

    assert count(1_000) == count(10)


def test_who_joins_with_a_glob_costs_the_known_names_once() -> None:
    """Each once made all others be compared with all names again."""
    told = [change(n + 1, f"t{n}", "STARTED", name=f"n{n}.x") for n in range(50)]

    def join(number: int) -> None:
        index = FilterIndex[int]()
        for group in range(number):
            index.add(Filter(name=(f"n{group}.*",)), group)
            for one in told:
                index.find_candidates(one)

    assert count_lines(lambda: join(80)) < 2.5 * count_lines(lambda: join(40))


def test_known_names_find_who_joins_later_until_it_leaves() -> None:
    index, one = FilterIndex[str](), change(1, "t", "STARTED", name="a.x")
    assert list(index.find_candidates(one)) == []
    for glob in ("a.*", "b.*", "*.x"):
        index.add(Filter(name=(glob,)), glob)
    assert list(index.find_candidates(one)) == ["a.*", "*.x"]
    index.discard(Filter(name=("a.*",)), "a.*")
    assert list(index.find_candidates(one)) == ["*.x"]
