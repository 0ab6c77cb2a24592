"""Who is offered what, what is kept of it, and how much."""

from functools import partial

import msgspec
import pytest

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.vector import Vector
from herald_server import hub as hubs
from herald_server.hub import COUNTS, RECENT_BYTES, Hub, Watcher
from herald_server.stalled import CHANGES, StalledShare
from tests.unit.pushing import STARTED, at, change, worker


def noted(watcher: Watcher) -> list[str]:
    return [c.rev.partition("-")[2] for c in watcher.take()]


@pytest.mark.parametrize(
    ("filter_", "offered", "asked_for"),
    [
        (Filter(), change(1), True),
        (STARTED, change(1, state="STARTED"), True),
        (STARTED, change(1, state="SUCCESS"), False),
        (STARTED, change(1, state="SUCCESS", was="STARTED"), True),
        (STARTED, change(1, state="SUCCESS", was="RETRY"), False),
        (STARTED, change(1, state="STARTED", was="STARTED", gone=True), True),
        (STARTED, change(1, state="SUCCESS", was="SUCCESS", gone=True), False),
        # A record that ran out unnoticed: nobody knows what it was.
        (STARTED, change(1, state="EXPIRED", gone=True), True),
        (Filter(ids=("a",)), change(1, "a", "EXPIRED", gone=True), True),
        (Filter(ids=("b",)), change(1, "a", "EXPIRED", gone=True), False),
        # Who is narrowed is not told of ids that may be none of theirs.
        (
            Filter().within(Filter(name=("x",))),
            change(1, state="EXPIRED", gone=True),
            False,
        ),
        (
            Filter().within(Filter(ids=("a",))),
            change(1, "a", "EXPIRED", gone=True),
            True,
        ),
        (
            Filter(ids=("a",)).within(Filter(ids=("b",))),
            change(1, "a", "EXPIRED", gone=True),
            False,
        ),
        (Filter(ids=("a",)), change(1, "a"), True),
        (Filter(ids=("b",)), change(1, "a"), False),
        (Filter(ids=("a",), state=("RETRY",)), change(1, "a"), False),
        (Filter(worker=("w1@*",)), change(1, worker="w1@h"), True),
        (Filter(worker=("w1@*",)), change(1, worker="w2@h"), False),
        (Filter(worker=("w1@*",)), change(1), False),
        (STARTED, worker(1, "w1"), True),
    ],
)
def test_a_watcher_hears_what_it_asks_for_and_what_leaves_it(
    filter_: Filter, offered: Change, asked_for: bool
) -> None:
    watcher = Watcher(filter_, lambda: None)
    watcher.offer(offered)
    assert bool(watcher.take()) is asked_for
    # The hub, which does not ask each watcher, comes to the same.
    hub = Hub()
    watcher = Watcher(filter_, lambda: None, offered.kind)
    hub.watch(watcher)
    touched = hub.offer([offered])
    assert touched == ({watcher} if asked_for else set())
    assert bool(watcher.pending) is asked_for


def test_only_the_newest_change_of_a_task_is_kept() -> None:
    watcher = Watcher(Filter(), lambda: None)
    for one in (change(1), change(3), change(2), change(2, "b")):
        watcher.offer(one)
    assert noted(watcher) == ["3.0", "2.0"]
    assert not watcher.pending


def test_who_asks_for_every_transition_gets_each_once() -> None:
    watcher = Watcher(Filter(), lambda: None, every=True)
    for one in (change(1), change(2), change(2)):
        watcher.offer(one)
    assert noted(watcher) == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("one", "leaves"),
    [
        (change(1, state="STARTED"), False),
        (change(1, state="SUCCESS"), True),
        (change(1, state="STARTED", gone=True), True),
        (worker(1, "w"), False),
        (worker(1, "w", gone=True), True),
    ],
)
def test_a_change_leaves_the_filter_or_not(one: Change, leaves: bool) -> None:
    assert Watcher(STARTED, lambda: None).leaves(one) is leaves


def test_too_many_pending_changes_become_a_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "MAX_PENDING", 2)
    watcher = Watcher(Filter(), lambda: None)
    for n in range(3):
        watcher.offer(change(n, f"t{n}"))
    assert (watcher.reset, watcher.pending) == ("slow", {})
    watcher.offer(change(9))
    assert not watcher.pending, "all of it comes with the snapshot"


def test_too_many_pending_bytes_become_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    small = change(1)
    monkeypatch.setattr(hubs, "MAX_BYTES", 3 * len(small.json))
    watcher = Watcher(Filter(), lambda: None)
    for n in range(1, 9):
        watcher.offer(change(n))  # one id: each takes the place of the one before
    assert (watcher.reset, watcher.size) == ("", len(small.json))
    watcher.take()
    assert watcher.size == 0
    for n in range(1, 5):
        watcher.offer(change(n, f"t{n}"))
    assert (watcher.reset, watcher.size) == ("slow", 0)


def test_publishing_moves_on_and_wakes_whom_it_concerns() -> None:
    hub, woken = Hub(), list[str]()
    for name, filter_ in {
        "all": Filter(),
        "started": STARTED,
        "b": Filter(ids=("b", "c")),
    }.items():
        hub.watch(Watcher(filter_, partial(woken.append, name)))
    hub.publish(Entry(at(1), (change(1, "a"),)))
    assert (hub.pos, sorted(woken)) == (at(1), ["all", "started"])
    woken.clear()
    hub.publish(Entry(at(2), (change(2, "b", "SUCCESS"),)))
    assert sorted(woken) == ["all", "b"]
    woken.clear()
    hub.publish(Entry(at(3)))
    assert not woken


def test_everybody_is_woken_for_a_bookmark_now_and_then() -> None:
    hub, woken = Hub(), list[int]()
    hub.watch(Watcher(Filter(ids=("x",)), lambda: woken.append(1)))
    for n in range(1, 2 * hubs.BOOKMARK_EVERY + 1):
        hub.publish(Entry(at(n)))
    assert len(woken) == 2


def test_a_dropped_watcher_hears_nothing_more() -> None:
    hub = Hub()
    watchers = [
        Watcher(Filter(), lambda: None),
        Watcher(Filter(), lambda: None),
        Watcher(Filter(ids=("a", "b")), lambda: None),
        Watcher(Filter(), lambda: None, "w"),
    ]
    for watcher in watchers:
        assert hub.watch(watcher) == hub.pos
    assert (hub.watchers(), hub.watchers("w"), hub.watched("w")) == (4, 1, True)
    for watcher in (*watchers, watchers[0], watchers[2]):
        hub.drop(watcher)
    assert (hub.watchers(), hub.watched("w")) == (0, False)
    assert hub.offer([change(1), worker(1, "w")]) == set()


def test_what_nobody_can_watch_is_passed_over() -> None:
    gap = Change("g", "gap", "1-1.0", (at(1), 0), b"{}")
    assert Hub().offer([gap]) == set()


def test_counts_are_a_topic_of_their_own() -> None:
    hub = Hub()
    watcher = Watcher(Filter(), lambda: None, COUNTS)
    hub.watch(watcher)
    count = Change(COUNTS, "SUCCESS", str(at(1)), (at(1), 7), b"{}")
    assert hub.offer([count, change(1), worker(1, "w")]) == {watcher}
    assert watcher.take() == [count]


def test_starting_over_voids_everything_and_wakes_everybody() -> None:
    hub, woken = Hub(), list[int]()
    watcher = Watcher(Filter(), lambda: woken.append(1))
    hub.watch(watcher)
    hub.offer([change(1)])
    hub.start_over(at(50), "trimmed")
    assert (hub.pos, watcher.reset, watcher.pending) == (at(50), "trimmed", {})
    assert woken == [1]


def test_listeners_get_each_entry_until_they_end_it() -> None:
    hub, heard = Hub(), list[Entry]()
    stop = hub.listen(heard.append)
    hub.publish(Entry(at(1)))
    stop()
    hub.publish(Entry(at(2)))
    assert heard == [Entry(at(1))]


def test_who_waits_for_a_place_is_woken_there_though_nothing_concerns_it() -> None:
    hub, woken = Hub(), list[int]()
    hub.publish(Entry(at(1)))
    hub.reach(at(1), lambda: woken.append(1))
    assert woken == [1], "it is there already"
    hub.reach(at(3), lambda: woken.append(3))
    hub.publish(Entry(at(2)))
    assert woken == [1]
    hub.publish(Entry(at(3)))
    hub.publish(Entry(at(4)))
    assert woken == [1, 3]


def test_nobody_waits_for_a_place_in_a_lost_history() -> None:
    hub, woken = Hub(), list[int]()
    hub.reach(at(3), lambda: woken.append(3))
    hub.start_over(at(9), "epoch")
    hub.publish(Entry(at(10)))
    assert not woken


def test_what_came_of_late_is_remembered_without_a_gap() -> None:
    hub = Hub()
    hub.start_over(at(1), "new")
    for n in range(2, 8):
        hub.publish(Entry(at(n), (change(n),)))
    found = hub.recent(at(3), at(6))
    assert [entry.cursor.n for entry in found or ()] == [4, 5, 6]
    assert hub.recent(at(7), at(7)) == []
    assert hub.recent(at(0), at(7)) is None, "entry 1 came before"
    assert hub.recent(Cursor(1, 3), at(7)) is None, "another epoch"
    hub.start_over(at(9), "epoch")
    assert hub.recent(at(7), at(9)) is None


def test_what_another_process_met_in_another_order_is_read_from_the_logs() -> None:
    hub, start = Hub(), Vector([Cursor(1, 0), Cursor(1, 0)])
    hub.start_over(start, "new")
    first = start.at(0, Cursor(1, 1))
    both = first.at(1, Cursor(1, 1))
    hub.publish(Entry(first, (change(1),)))
    hub.publish(Entry(both, (change(2),)))
    assert len(hub.recent(start, both) or ()) == 2
    assert hub.recent(start.at(1, Cursor(1, 1)), both) is None


def test_no_more_is_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("herald_server.hub.RECENT", 5)
    hub = Hub()
    hub.start_over(at(0), "new")
    for n in range(1, 5):
        hub.publish(Entry(at(n), (change(n, number=0), change(n, number=1))))
    assert hub.recent(at(1), at(4)) is None
    assert len(hub.recent(at(2), at(4)) or ()) == 2


def test_large_changes_are_not_remembered_for_long() -> None:
    hub = Hub()
    hub.start_over(at(0), "new")
    large = b"x" * (RECENT_BYTES // 4)
    for n in range(1, 8):
        hub.publish(Entry(at(n), (msgspec.structs.replace(change(n), json=large),)))
    assert hub.recent(at(2), at(7)) is None
    assert len(hub.recent(at(3), at(7)) or ()) == 4
    hub.publish(Entry(at(8), (msgspec.structs.replace(change(8), json=large * 9),)))
    assert hub.recent(at(7), at(8)) is None, "more than there is room for"
    hub.publish(Entry(at(9), (change(9),)))
    assert len(hub.recent(at(8), at(9)) or ()) == 1


def test_a_watcher_whose_snapshot_is_still_to_be_read_keeps_nothing() -> None:
    hub, watcher = Hub(), Watcher(Filter(), lambda: None)
    hub.watch(watcher)
    watcher.asleep = True
    hub.publish(Entry(at(1), (change(1),)))
    assert not watcher.pending
    watcher.asleep = False
    hub.publish(Entry(at(2), (change(2),)))
    assert list(watcher.pending) == ["a"]


def test_a_stalled_watcher_keeps_its_share_only() -> None:
    hub, watcher = Hub(), Watcher(Filter(), lambda: None)
    hub.watch(watcher)
    watcher.share = StalledShare()
    watcher.share.add(CHANGES // 2)
    hub.publish(Entry(at(1), (change(1, "a"), change(1, "b", number=1))))
    assert not watcher.reset
    hub.publish(Entry(at(2), (change(2, "c"),)))
    assert (watcher.reset, len(watcher.pending)) == ("slow", 0)
