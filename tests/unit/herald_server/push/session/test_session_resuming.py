"""The protocol: coming back, starting over, and coming to an end."""

from typing import Any

import msgspec
import pytest

from herald_core.model.changes import LogEntry
from herald_core.model.cursor import Cursor, parse_cursor
from herald_core.model.vector_cursor import (
    PartitionCursor,
    VectorCursor,
    parse_any_cursor,
)
from herald_server.auth.quotas.close_codes import SLOW_CLIENT
from herald_server.push.log import hub as hubs
from herald_server.push.session import frame_packer
from herald_server.push.session.session import MAX_SLOW
from herald_server.push.session.subscription import ReadRequest
from tests.support.model.changes import EPOCH, Desk, at, change, row, told, worker

STARTED: dict[str, Any] = {"filter": {"state": "STARTED"}}


# -- resuming ----------------------------------------------------------------------


def entries(*numbers: int, **fields: Any) -> list[LogEntry]:
    return [LogEntry(at(n), (change(n, f"t{n}", **fields),)) for n in numbers]


def test_a_resumed_subscription_is_told_what_came_since_without_a_reset() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)))
    assert read is not None
    assert read.since == at(8)
    desk.publish(11, change(11, "live"))
    desk.session.on_replay(read, entries(9, 10))
    expected = [("t9", "STARTED"), ("t10", "STARTED"), ("live", "STARTED")]
    assert desk.data() == [told(expected, 11)]
    assert desk.data() == []


def test_where_nothing_came_since_a_bookmark_says_so() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(10)))
    assert read is not None
    desk.session.on_replay(read, [])
    assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]
    read = desk.subscribe("two", since=str(at(10)))
    assert read is not None
    desk.session.on_replay(read, [])
    assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]


def test_a_replay_tells_of_the_filter_and_the_topic_only() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)), **STARTED)
    assert read is not None
    replay = [
        LogEntry(at(9), (worker(9, "w"), change(9, "a", "SUCCESS", number=1))),
        LogEntry(at(10), (change(10, "b", "SUCCESS", was="STARTED"),)),
    ]
    desk.session.on_replay(read, replay)
    assert desk.data() == [told(n=10, gone=["b"])]


def test_a_replay_comes_before_what_was_offered_meanwhile() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(9)), mode="events")
    assert read is not None
    desk.publish(11, change(11, "t10", "SUCCESS", was="STARTED"))
    desk.session.on_replay(read, entries(10))
    assert desk.data() == [
        told([("t10", "STARTED")], 10),
        told([("t10", "SUCCESS")], 11),
    ]


def retries(count: int) -> list[LogEntry]:
    """Entries of one task that is retried again and again, two changes in each."""
    return [
        LogEntry(
            at(n),
            (change(n, "a", "STARTED", number=0), change(n, "a", "RETRY", number=1)),
        )
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("frames_a_time", [2, 3, 7])
def test_a_client_that_is_cut_again_and_again_gets_through_a_long_replay(
    frames_a_time: int,
) -> None:
    log, since, heard = retries(40), at(0), 0
    for _ in range(50):
        desk = Desk(pos=40)
        read = desk.subscribe(since=str(since), mode="events")
        assert read is not None
        desk.session.on_replay(read, [e for e in log if e.cursor > since])
        for frame in desk.data()[:frames_a_time]:
            heard += len(frame.get("put", ()))
            since = parse_cursor(frame["cursor"]) if "cursor" in frame else since
        if since == at(40):
            break
    assert since == at(40)
    # Only the half of an entry that was told without a cursor is told again.
    assert 80 <= heard <= 80 + 50


def batches(count: int, size: int = 5, tasks: int = 7) -> list[LogEntry]:
    """Entries of `size` tasks each: an id comes again within the next entry."""
    return [
        LogEntry(
            at(n),
            tuple(change(n, f"t{(n * 3 + i) % tasks}", number=i) for i in range(size)),
        )
        for n in range(1, count + 1)
    ]


def replay(log: list[LogEntry], since: Cursor, pos: Cursor) -> list[dict[str, Any]]:
    """Return the frames of a replay of `log` in the mode `events`."""
    desk = Desk()
    desk.hub.pos = pos
    read = desk.subscribe(since=str(since), mode="events")
    assert read is not None
    desk.session.on_replay(read, [e for e in log if not e.cursor <= since])
    return [
        msgspec.json.decode(frame) for frame in desk.session.take_data_frames(desk.now)
    ]


def list_told(frame: dict[str, Any]) -> list[str]:
    """Return the revs of the changes in `frame`."""
    return [item["rev"] for item in frame["put"]]


def test_each_frame_of_a_replay_ends_with_an_entry() -> None:
    """A batch of events is one entry: its end seldom is where a frame is full."""
    log, since, heard = batches(60), at(0), list[str]()
    frames = replay(log, since, at(60))
    assert len(frames) > 30
    assert all("cursor" in frame for frame in frames)
    while since != at(60):
        [first, *_] = replay(log, since, at(60))
        heard += list_told(first)
        since = parse_cursor(first["cursor"])
    assert heard == [one.rev for entry in log for one in entry.changes]


def test_a_replay_of_several_partitions_resumes_within_it_as_well() -> None:
    """Its cursors are vectors: each entry moves one component."""
    start = VectorCursor([at(0), at(0)])
    position, log, heard = start, list[LogEntry](), list[str]()
    for n in range(1, 41):
        part = n % 2
        place = PartitionCursor(EPOCH, (n + 1) // 2, part)
        position = position.advance(part, place)
        moved = [
            msgspec.structs.replace(one, place=(place, i), rev=f"{place}.{i}")
            for i, one in enumerate(batches(n)[-1].changes)
        ]
        log.append(LogEntry(position, tuple(moved)))
    since: Cursor = start
    frames = replay(log, since, position)
    assert all("cursor" in frame for frame in frames)
    assert len(frames) > 20
    while since != position:
        [first, *_] = replay(log, since, position)
        heard += [str(one["id"]) for one in first["put"]]
        since = parse_any_cursor(first["cursor"])
    assert heard == [one.id for entry in log for one in entry.changes]


def test_of_several_subscriptions_only_the_last_frame_has_a_cursor() -> None:
    desk = Desk(pos=40)
    reads = [desk.subscribe(id_, since=str(at(0)), mode="events") for id_ in "xy"]
    for read in reads:
        assert read is not None
        desk.session.on_replay(read, retries(40))
    cursors = [frame.get("cursor") for frame in desk.data()]
    assert cursors[-1] == str(at(40))
    assert set(cursors[:-1]) == {None}


def test_of_the_newest_changes_only_the_last_frame_has_a_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_packer, "MAX_FRAME_BYTES", 200)
    desk = Desk(pos=40)
    read = desk.subscribe(since=str(at(0)))
    assert read is not None
    desk.session.on_replay(read, entries(*range(1, 41)))
    cursors = [frame.get("cursor") for frame in desk.data()]
    assert len(cursors) > 2
    assert cursors[-1] == str(at(40))
    assert set(cursors[:-1]) == {None}


def test_what_a_lagging_server_offers_again_is_not_told_again() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(12)))
    assert read is not None
    for n in (11, 12, 13):
        desk.publish(n, change(n, f"t{n}"))
    desk.session.on_replay(read, entries(13))
    assert desk.data() == [told([("t13", "STARTED")], 13)]


@pytest.mark.parametrize("reason", ["trimmed", "epoch"])
def test_what_cannot_be_resumed_is_reset(reason: str) -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)))
    assert read is not None
    desk.session.restart(read, reason)
    again = desk.session.read_requests.pop(0)
    again.sub.resume(desk.hub.pos)
    assert again.since is None
    assert not desk.session.is_current(read)
    desk.session.on_snapshot_end(again, at(10))
    assert desk.data() == [told([], 10, reset=reason)]
    assert desk.tally.resets == {reason: 1}


def test_counts_are_never_resumed() -> None:
    read = Desk().subscribe(topic="counts", since=str(at(1)))
    assert read is not None
    assert read.since is None


# -- resets ------------------------------------------------------------------------


def test_lost_history_resets_every_subscription_by_itself() -> None:
    desk = Desk()
    desk.live()
    desk.publish(11, change(11, "a"))
    woken = desk.woken
    desk.hub.reset(Cursor(at(0).epoch + 1, 4), "epoch")
    assert desk.woken > woken
    assert desk.data() == []
    read = desk.session.read_requests.pop(0)
    read.sub.resume(desk.hub.pos)
    desk.session.on_page(read, [row(1, "b")])
    desk.session.on_snapshot_end(read, desk.hub.pos)
    expected = told([("b", "STARTED")], reset="epoch")
    assert desk.data() == [{**expected, "cursor": str(desk.hub.pos)}]
    assert desk.tally.resets == {"epoch": 1}


def test_a_reset_in_the_middle_of_a_snapshot_begins_it_anew() -> None:
    desk = Desk()
    read = desk.subscribe()
    assert read is not None
    desk.session.on_page(read, [row(1, "a")])
    desk.session.on_page(read, [row(2, "b")])
    desk.control()
    desk.hub.reset(at(50), "trimmed")
    assert not desk.session.is_current(read)
    desk.session.restart(read, "epoch")
    assert not desk.session.read_requests, "the reset is underway already"
    desk.session.fail(read, "too_broad", "no", retry=False)
    assert not desk.control(), "what is read in vain is no error"
    woken = desk.woken
    assert desk.data() == []
    assert desk.woken > woken, "somebody has to do the read"
    again = desk.session.read_requests.pop(0)
    again.sub.resume(desk.hub.pos)
    assert desk.session.is_current(again)
    assert not desk.session.read_requests
    desk.session.on_page(again, [row(49, "c")])
    desk.session.on_snapshot_end(again, at(50))
    assert desk.data() == [told([("c", "STARTED")], 50, reset="trimmed")]


def test_who_falls_behind_starts_over_and_is_closed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "MAX_PENDING", 2)
    desk = Desk()
    desk.live()
    for lap in range(MAX_SLOW + 1):
        assert desk.session.closing is None, lap
        desk.publish(20 + lap, *(change(20 + lap, f"t{i}") for i in range(3)))
        assert desk.data() == []
        desk.session.read_requests.pop().sub.resume(desk.hub.pos)
    assert desk.session.closing == (SLOW_CLIENT, "too slow; reconnect, or ask for less")
    assert desk.tally.resets == {"slow": MAX_SLOW + 1}


def test_falling_behind_is_forgiven_once_it_is_live_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "MAX_PENDING", 2)
    desk = Desk()
    desk.live()
    for n in range(20, 20 + 3 * MAX_SLOW):
        desk.publish(n, *(change(n, f"t{i}") for i in range(3)))
        desk.data()
        read = desk.session.read_requests.pop()
        read.sub.resume(desk.hub.pos)
        desk.session.on_snapshot_end(read, at(n))
        assert desk.data()[0]["reset"] == "slow"
    assert desk.session.closing is None


# -- done --------------------------------------------------------------------------


def test_a_watch_on_ids_ends_when_all_are_final() -> None:
    desk = Desk()
    desk.live("s", row(1, "a", "STARTED"), row(2, "b", "FAILURE"), filter={"ids": "ab"})
    desk = Desk()
    desk.live("s", row(1, "b", "FAILURE"), filter={"ids": ["a", "b", "c"]})
    desk.publish(11, change(11, "a", "SUCCESS"))
    assert desk.data() == [told([("a", "SUCCESS")], 11)]
    desk.publish(12, change(12, "c", "STARTED", gone=True, was="STARTED"))
    assert desk.data() == [
        told(n=12, gone=["c"]),
        {"type": "done", "id": "s"},
    ]
    assert desk.hub.count_subscribers() == 0


def test_a_watch_on_ids_that_are_final_already_ends_with_its_snapshot() -> None:
    desk = Desk()
    read = desk.subscribe(filter={"ids": "a"})
    assert read is not None
    desk.session.on_page(read, [row(1, "a", "SUCCESS")])
    desk.session.on_snapshot_end(read, at(10))
    said = desk.data()
    assert [f["type"] for f in said] == ["data", "done"]


@pytest.mark.parametrize("filter_", [{"ids": "a", "state": "SUCCESS"}, {}])
def test_other_watches_do_not_end(filter_: dict[str, Any]) -> None:
    desk = Desk()
    desk.live("s", row(1, "a", "SUCCESS"), filter=filter_)
    desk.publish(11, change(11, "a", "SUCCESS"))
    assert [f["type"] for f in desk.data()] == ["data"]


def resumed_ids(desk: Desk) -> ReadRequest:
    read = desk.subscribe(filter={"ids": ["a", "b"]}, since=str(at(10)))
    assert read is not None
    desk.session.on_replay(read, [])
    desk.data()
    finals = desk.session.read_requests.pop(0)
    assert finals.finals
    assert desk.session.is_current(finals)
    return finals


def test_a_resumed_watch_on_ids_counts_what_ended_before() -> None:
    desk = Desk()
    finals = resumed_ids(desk)
    desk.session.on_final_ids(finals, [("a", f"{at(3)}.0"), ("b", f"{at(4)}.0")])
    assert not desk.session.is_current(finals)
    assert desk.data() == [{"type": "done", "id": "s"}]


def test_what_ended_a_moment_ago_is_told_before_it_counts() -> None:
    desk = Desk()
    finals = resumed_ids(desk)
    desk.session.on_final_ids(finals, [("a", f"{at(3)}.0"), ("b", f"{at(11)}.0")])
    assert desk.data() == []
    desk.publish(11, change(11, "b", "SUCCESS"))
    assert desk.data() == [
        told([("b", "SUCCESS")], 11),
        {"type": "done", "id": "s"},
    ]


def test_finals_of_a_watch_on_more_than_ids_are_of_no_use() -> None:
    desk = Desk()
    desk.live("s")
    read = desk.subscribe("s", since=str(at(10)))
    assert read is not None
    desk.session.on_final_ids(ReadRequest(read.sub, finals=True), [("a", "1-1.0")])
    assert desk.data() == []
