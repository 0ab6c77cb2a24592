"""Who is offered what, what is kept of it, and how much."""

from functools import partial

import msgspec
import pytest

from herald_core.model.changes import Change, LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_core.model.vector_cursor import VectorCursor
from herald_server.auth.quotas.stalled_clients import MAX_CHANGES, StalledShare
from herald_server.push.log import hub as hubs
from herald_server.push.log.hub import COUNTS, MAX_RECENT_BYTES, Hub, Subscriber
from tests.support.model.changes import STARTED, at, change, worker


def noted(watcher: Subscriber) -> list[str]:
    return [c.rev.partition("-")[2] for c in watcher.drain()]


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
            Filter().intersect(Filter(name=("x",))),
            change(1, state="EXPIRED", gone=True),
            False,
        ),
        (
            Filter().intersect(Filter(ids=("a",))),
            change(1, "a", "EXPIRED", gone=True),
            True,
        ),
        (
            Filter(ids=("a",)).intersect(Filter(ids=("b",))),
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
    watcher = Subscriber(filter_, lambda: None)
    watcher.offer(offered)
    assert bool(watcher.drain()) is asked_for
    # The hub, which does not ask each watcher, comes to the same.
    hub = Hub()
    watcher = Subscriber(filter_, lambda: None, offered.kind)
    hub.subscribe(watcher)
    touched = hub.offer([offered])
    assert touched == ({watcher} if asked_for else set())
    assert bool(watcher.pending) is asked_for
    for taken in watcher.drain():
        left = offered.task is not None and not filter_.matches(offered.task)
        assert taken.has_left is (left and not offered.is_deletion)


def test_equal_filters_share_their_compiled_patterns() -> None:
    hub = Hub()
    watchers = [Subscriber(Filter(name=("a.*",)), lambda: None) for _ in range(2)]
    for watcher in watchers:
        hub.subscribe(watcher)
    assert watchers[0].filter is watchers[1].filter
    hub.unsubscribe(watchers[0])
    assert hub.offer([change(1)]) == hub.offer([change(2)])
    assert not watchers[0].pending


def test_only_the_newest_change_of_a_task_is_kept() -> None:
    watcher = Subscriber(Filter(), lambda: None)
    for one in (change(1), change(3), change(2), change(2, "b")):
        watcher.offer(one)
    assert noted(watcher) == ["3.0", "2.0"]
    assert not watcher.pending


def test_who_asks_for_every_transition_gets_each_once() -> None:
    watcher = Subscriber(Filter(), lambda: None, every=True)
    for one in (change(1), change(2), change(2)):
        watcher.offer(one)
    assert noted(watcher) == ["1.0", "2.0"]


def test_too_many_pending_changes_become_a_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "MAX_PENDING", 2)
    watcher = Subscriber(Filter(), lambda: None)
    for n in range(3):
        watcher.offer(change(n, f"t{n}"))
    assert (watcher.reset, watcher.pending) == ("slow", {})
    watcher.offer(change(9))
    assert not watcher.pending, "all of it comes with the snapshot"


def test_too_many_pending_bytes_become_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    small = change(1)
    monkeypatch.setattr(hubs, "MAX_PENDING_BYTES", 3 * len(small.json))
    watcher = Subscriber(Filter(), lambda: None)
    for n in range(1, 9):
        watcher.offer(change(n))  # one id: each takes the place of the one before
    assert (watcher.reset, watcher.size) == ("", len(small.json))
    watcher.drain()
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
        hub.subscribe(Subscriber(filter_, partial(woken.append, name)))
    hub.publish(LogEntry(at(1), (change(1, "a"),)))
    assert (hub.pos, sorted(woken)) == (at(1), ["all", "started"])
    woken.clear()
    hub.publish(LogEntry(at(2), (change(2, "b", "SUCCESS"),)))
    assert sorted(woken) == ["all", "b"]
    woken.clear()
    hub.publish(LogEntry(at(3)))
    assert not woken


def test_everybody_is_woken_for_a_bookmark_now_and_then() -> None:
    hub, woken = Hub(), list[int]()
    hub.subscribe(Subscriber(Filter(ids=("x",)), lambda: woken.append(1)))
    for n in range(1, 2 * hubs.BOOKMARK_CHANGES + 1):
        hub.publish(LogEntry(at(n)))
    assert len(woken) == 2


def test_a_dropped_watcher_hears_nothing_more() -> None:
    hub = Hub()
    watchers = [
        Subscriber(Filter(), lambda: None),
        Subscriber(Filter(), lambda: None),
        Subscriber(Filter(ids=("a", "b")), lambda: None),
        Subscriber(Filter(), lambda: None, "w"),
    ]
    for watcher in watchers:
        assert hub.subscribe(watcher) == hub.pos
    assert (
        hub.count_subscribers(),
        hub.count_subscribers("w"),
        hub.has_subscribers("w"),
    ) == (4, 1, True)
    for watcher in (*watchers, watchers[0], watchers[2]):
        hub.unsubscribe(watcher)
    assert (hub.count_subscribers(), hub.has_subscribers("w")) == (0, False)
    assert hub.offer([change(1), worker(1, "w")]) == set()


def test_what_nobody_can_watch_is_passed_over() -> None:
    gap = Change("g", "gap", "1-1.0", (at(1), 0), b"{}")
    assert Hub().offer([gap]) == set()


def test_counts_are_a_topic_of_their_own() -> None:
    hub = Hub()
    watcher = Subscriber(Filter(), lambda: None, COUNTS)
    hub.subscribe(watcher)
    count = Change(COUNTS, "SUCCESS", str(at(1)), (at(1), 7), b"{}")
    assert hub.offer([count, change(1), worker(1, "w")]) == {watcher}
    assert watcher.drain() == [count]


def test_starting_over_voids_everything_and_wakes_everybody() -> None:
    hub, woken = Hub(), list[int]()
    watcher = Subscriber(Filter(), lambda: woken.append(1))
    hub.subscribe(watcher)
    hub.offer([change(1)])
    hub.reset(at(50), "trimmed")
    assert (hub.pos, watcher.reset, watcher.pending) == (at(50), "trimmed", {})
    assert woken == [1]


def test_listeners_get_each_entry_until_they_end_it() -> None:
    hub, heard = Hub(), list[LogEntry]()
    stop = hub.add_listener(heard.append)
    hub.publish(LogEntry(at(1)))
    stop()
    hub.publish(LogEntry(at(2)))
    assert heard == [LogEntry(at(1))]


def test_who_waits_for_a_place_is_woken_there_though_nothing_concerns_it() -> None:
    hub, woken = Hub(), list[int]()
    hub.publish(LogEntry(at(1)))
    hub.call_when_reached(at(1), lambda: woken.append(1))
    assert woken == [1], "it is there already"
    hub.call_when_reached(at(3), lambda: woken.append(3))
    hub.publish(LogEntry(at(2)))
    assert woken == [1]
    hub.publish(LogEntry(at(3)))
    hub.publish(LogEntry(at(4)))
    assert woken == [1, 3]


def test_nobody_waits_for_a_place_in_a_lost_history() -> None:
    hub, woken = Hub(), list[int]()
    hub.call_when_reached(at(3), lambda: woken.append(3))
    hub.reset(at(9), "epoch")
    hub.publish(LogEntry(at(10)))
    assert not woken


def test_what_came_of_late_is_remembered_without_a_gap() -> None:
    hub = Hub()
    hub.reset(at(1), "new")
    for n in range(2, 8):
        hub.publish(LogEntry(at(n), (change(n),)))
    found = hub.list_recent(at(3), at(6))
    assert [entry.cursor.n for entry in found or ()] == [4, 5, 6]
    assert hub.list_recent(at(7), at(7)) == []
    assert hub.list_recent(at(0), at(7)) is None, "entry 1 came before"
    assert hub.list_recent(Cursor(1, 3), at(7)) is None, "another epoch"
    hub.reset(at(9), "epoch")
    assert hub.list_recent(at(7), at(9)) is None


def test_what_another_process_met_in_another_order_is_read_from_the_logs() -> None:
    hub, start = Hub(), VectorCursor([Cursor(1, 0), Cursor(1, 0)])
    hub.reset(start, "new")
    first = start.advance(0, Cursor(1, 1))
    both = first.advance(1, Cursor(1, 1))
    hub.publish(LogEntry(first, (change(1),)))
    hub.publish(LogEntry(both, (change(2),)))
    assert len(hub.list_recent(start, both) or ()) == 2
    assert hub.list_recent(start.advance(1, Cursor(1, 1)), both) is None


def test_no_more_is_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("herald_server.push.log.hub.MAX_RECENT_CHANGES", 5)
    hub = Hub()
    hub.reset(at(0), "new")
    for n in range(1, 5):
        hub.publish(LogEntry(at(n), (change(n, number=0), change(n, number=1))))
    assert hub.list_recent(at(1), at(4)) is None
    assert len(hub.list_recent(at(2), at(4)) or ()) == 2


def test_large_changes_are_not_remembered_for_long() -> None:
    hub = Hub()
    hub.reset(at(0), "new")
    large = b"x" * (MAX_RECENT_BYTES // 4)
    for n in range(1, 8):
        hub.publish(LogEntry(at(n), (msgspec.structs.replace(change(n), json=large),)))
    assert hub.list_recent(at(2), at(7)) is None
    assert len(hub.list_recent(at(3), at(7)) or ()) == 4
    hub.publish(LogEntry(at(8), (msgspec.structs.replace(change(8), json=large * 9),)))
    assert hub.list_recent(at(7), at(8)) is None, "more than there is room for"
    hub.publish(LogEntry(at(9), (change(9),)))
    assert len(hub.list_recent(at(8), at(9)) or ()) == 1


def test_a_watcher_whose_snapshot_is_still_to_be_read_keeps_nothing() -> None:
    hub, watcher = Hub(), Subscriber(Filter(), lambda: None)
    hub.subscribe(watcher)
    watcher.is_asleep = True
    hub.publish(LogEntry(at(1), (change(1),)))
    assert not watcher.pending
    watcher.is_asleep = False
    hub.publish(LogEntry(at(2), (change(2),)))
    assert list(watcher.pending) == ["a"]


def test_a_stalled_watcher_keeps_its_share_only() -> None:
    hub, watcher = Hub(), Subscriber(Filter(), lambda: None)
    hub.subscribe(watcher)
    watcher.share = StalledShare()
    watcher.share.add(MAX_CHANGES // 2)
    hub.publish(LogEntry(at(1), (change(1, "a"), change(1, "b", number=1))))
    assert not watcher.reset
    hub.publish(LogEntry(at(2), (change(2, "c"),)))
    assert (watcher.reset, len(watcher.pending)) == ("slow", 0)


def test_what_a_token_hides_is_taken_out_of_changes() -> None:
    hub, told = Hub(), Subscriber(Filter().intersect(Filter(hide=("state",))), print)
    hub.subscribe(told)
    whole = change(1, state="STARTED")
    told.offer(whole)
    (shown,) = told.drain()
    assert b"STARTED" in whole.json
    assert b"STARTED" not in shown.json
