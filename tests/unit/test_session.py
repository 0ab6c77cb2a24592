"""The protocol, frame by frame: what is told, in what order, and with what cursor."""

from typing import Any

import pytest

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.cursor import Cursor
from herald_server import hub as hubs
from herald_server.hub import BOOKMARK_EVERY, COUNTS
from herald_server.limits import BAD_MESSAGE, RATE, SLOW
from herald_server.messages import Auth
from herald_server.session import BACKLOG, MAX_SLOW
from herald_server.subscription import Read
from tests.unit.pushing import Desk, at, change, row, told, worker

EVERYTHING: dict[str, Any] = {"filter": {}}
STARTED: dict[str, Any] = {"filter": {"state": "STARTED"}}


def errors(desk: Desk) -> list[tuple[str, str, bool]]:
    return [
        (f["code"], f["message"], f["retry"])
        for f in desk.control()
        if f["type"] == "error"
    ]


# -- the snapshot -----------------------------------------------------------------


def test_a_snapshot_is_told_by_pages_and_only_the_last_has_a_cursor() -> None:
    desk = Desk()
    read = desk.subscribe(**EVERYTHING)
    assert read is not None and read.since is None
    desk.session.page(read, [row(1, "a")])
    desk.session.page(read, [row(2, "b")])
    first = desk.control()
    assert [f["put"][0]["id"] for f in first] == ["a"]
    assert first[0]["reset"] == "new" and "cursor" not in first[0]
    assert desk.data() == [], "nothing is safe before the snapshot is read"
    desk.session.synced(read, at(10))
    assert desk.data() == [told([("b", "STARTED")], 10)]


def test_an_empty_snapshot_is_told_as_well() -> None:
    desk = Desk()
    desk.live(**EVERYTHING)
    desk = Desk()
    read = desk.subscribe(**EVERYTHING)
    assert read is not None
    desk.session.synced(read, at(10))
    assert desk.data() == [told([], 10, reset="new")]


def test_a_snapshot_waits_until_the_log_was_read_to_where_it_ended() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(**STARTED)
    assert read is not None
    desk.session.page(read, [row(12, "a")])
    desk.session.synced(read, at(12))
    desk.publish(11, change(11, "a", "RECEIVED", was="STARTED"))
    assert desk.data() == []
    before = desk.woken
    desk.publish(12, change(12, "b", "SUCCESS"))
    assert desk.woken > before, "though nothing in it concerns the subscription"
    assert desk.data() == [told([("a", "STARTED")], 12, reset="new")]


def test_the_last_page_is_merged_with_what_came_meanwhile() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(**STARTED)
    assert read is not None
    desk.session.page(read, [row(1, "early")])
    desk.session.page(read, [row(5, "stays"), row(6, "leaves"), row(7, "changes")])
    desk.control()
    desk.publish(
        11,
        change(11, "leaves", "SUCCESS", was="STARTED"),
        change(11, "early", "SUCCESS", was="STARTED", number=1),
        change(11, "changes", "STARTED", was="STARTED", number=2, worker="w2"),
        change(11, "new", "STARTED", number=3),
    )
    desk.session.synced(read, at(11))
    assert desk.data() == [
        {
            "type": "data",
            "id": "s",
            "put": [
                {"id": "stays", "state": "STARTED"},
                {"id": "changes", "state": "STARTED", "worker": "w2"},
                {"id": "new", "state": "STARTED"},
            ],
            "del": ["early"],
            "cursor": str(at(11)),
        }
    ]


def test_what_the_snapshot_showed_already_is_not_told_again() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(**EVERYTHING)
    assert read is not None
    desk.publish(11, change(11, "a", "RECEIVED"))
    desk.session.page(read, [row(12, "a", "STARTED")])
    desk.session.synced(read, at(12))
    desk.publish(12, change(12, "a", "STARTED", was="RECEIVED"))
    assert desk.data() == [told([("a", "STARTED")], 12, reset="new")]
    desk.publish(13, change(13, "a", "SUCCESS", was="STARTED"))
    assert desk.data() == [told([("a", "SUCCESS")], 13)]


def test_a_snapshot_of_workers_and_counts_has_no_revs_to_compare() -> None:
    for topic in ("workers", "counts"):
        desk = Desk()
        read = desk.subscribe(topic=topic)
        assert read is not None
        desk.session.page(read, [("w", "", b'{"id":"w"}', False)])
        desk.session.synced(read, at(10))
        expected = {"type": "data", "id": "s", "reset": "new", "put": [{"id": "w"}]}
        assert desk.data() == [{**expected, "cursor": str(at(10))}]


def test_fields_are_cut_out_of_snapshot_and_changes() -> None:
    desk = Desk()
    read = desk.subscribe(fields=["worker"])
    assert read is not None
    desk.session.page(read, [row(1, "a")])
    desk.session.synced(read, at(10))
    assert desk.data()[0]["put"] == [{"id": "a"}]
    desk.publish(11, change(11, "b", worker="w1", queue="q"))
    assert desk.data()[0]["put"] == [{"id": "b", "worker": "w1"}]


# -- changes -------------------------------------------------------------------------


def test_changes_are_gathered_into_one_frame_with_the_newest_of_each_task() -> None:
    desk = Desk()
    desk.live()
    desk.publish(11, change(11, "a"), change(11, "b", number=1))
    desk.publish(12, change(12, "a", "SUCCESS", was="STARTED"))
    assert desk.data() == [told([("a", "SUCCESS"), ("b", "STARTED")], 12)]
    assert desk.data() == []


def test_a_task_that_leaves_the_filter_or_is_forgotten_is_deleted() -> None:
    desk = Desk()
    desk.live(**STARTED)
    desk.publish(11, change(11, "a", "SUCCESS", was="STARTED"))
    assert desk.data() == [told(n=11, **{"del": ["a"]})]
    desk.publish(12, change(12, "b", "STARTED", was="STARTED", gone=True))
    assert desk.data() == [told(n=12, **{"del": ["b"]})]
    desk.publish(13, change(13, "c", "SUCCESS", was="RETRY"))
    assert desk.data() == []


def test_workers_are_told_and_forgotten() -> None:
    desk = Desk()
    desk.live(topic="workers")
    desk.publish(11, worker(11, "w1"), change(11, "a"))
    assert [f["put"] for f in desk.data()] == [[{"id": "w1"}]]
    desk.publish(12, worker(12, "w1", gone=True))
    assert desk.data() == [told(n=12, **{"del": ["w1"]})]


def test_counts_are_told_without_an_entry_in_the_log() -> None:
    desk = Desk()
    desk.live(topic="counts")
    count = Change(COUNTS, "SUCCESS", "1-1", (at(10), 5), b'{"id":"SUCCESS","count":2}')
    desk.hub.offer([count])
    assert desk.data()[0]["put"] == [{"id": "SUCCESS", "count": 2}]


def test_every_transition_is_told_in_order_and_no_id_twice_in_a_frame() -> None:
    desk = Desk()
    desk.live(mode="events")
    desk.publish(11, change(11, "a", "RECEIVED"), change(11, "b", number=1))
    desk.publish(12, change(12, "a", "STARTED", was="RECEIVED"))
    desk.publish(13, change(13, "a", "SUCCESS", was="STARTED"))
    assert desk.data() == [
        told([("a", "RECEIVED"), ("b", "STARTED")]),
        told([("a", "STARTED")]),
        told([("a", "SUCCESS")], 13),
    ]


def test_no_transition_is_swallowed_by_the_snapshot() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(mode="events")
    assert read is not None
    desk.session.page(read, [row(11, "a", "RECEIVED")])
    desk.publish(11, change(11, "a", "RECEIVED"))
    desk.publish(12, change(12, "a", "STARTED", was="RECEIVED"))
    desk.publish(13, change(13, "a", "SUCCESS", was="STARTED"))
    desk.session.synced(read, at(13))
    assert desk.data() == [
        told([("a", "RECEIVED")], reset="new"),
        told([("a", "STARTED")]),
        told([("a", "SUCCESS")], 13),
    ]


# -- cursors --------------------------------------------------------------------------


def test_no_cursor_is_sent_while_any_subscription_is_incomplete() -> None:
    desk = Desk()
    desk.live("one")
    read = desk.subscribe("two", **STARTED)
    assert read is not None
    desk.publish(11, change(11, "a"))
    assert desk.data() == [told([("a", "STARTED")], sub="one")]
    desk.session.page(read, [row(11, "a")])
    desk.session.synced(read, at(11))
    desk.publish(12, change(12, "b"))
    assert desk.data() == [
        told([("b", "STARTED")], sub="one"),
        told([("a", "STARTED"), ("b", "STARTED")], 12, "two", reset="new"),
    ]


def test_only_the_last_of_several_frames_has_the_cursor() -> None:
    desk = Desk()
    desk.live("one")
    desk.live("two")
    desk.publish(11, change(11, "a"))
    assert [f.get("cursor") for f in desk.data()] == [None, str(at(11))]


def test_unsubscribing_what_is_incomplete_makes_the_rest_safe() -> None:
    desk = Desk()
    desk.live("one")
    desk.subscribe("two")
    desk.publish(11, change(11, "a"))
    assert "cursor" not in desk.data()[0]
    woken = desk.woken
    desk.say(type="unsubscribe", id="two")
    assert desk.woken > woken
    desk.now += 100
    assert desk.data() == [{"type": "cursor", "cursor": str(at(11))}]


def test_a_quiet_client_gets_bookmarks_by_time_and_by_number() -> None:
    desk = Desk(heartbeat=15)
    desk.live(**STARTED)
    desk.publish(11)
    assert desk.data() == []
    assert desk.session.quiet_for(desk.now + 5) == 10
    desk.now += 15
    assert desk.data() == [{"type": "cursor", "cursor": str(at(11))}]
    assert desk.data() == []
    desk.publish(11 + BOOKMARK_EVERY)
    assert desk.data() == [{"type": "cursor", "cursor": str(at(11 + BOOKMARK_EVERY))}]
    desk.now += 15
    assert len(desk.data()) == 1, "it is a heartbeat too: it comes if nothing moves"


def test_who_subscribes_to_nothing_gets_no_cursor() -> None:
    desk = Desk()
    assert desk.data() == []


# -- resuming -------------------------------------------------------------------------


def entries(*numbers: int, **fields: Any) -> list[Entry]:
    return [Entry(at(n), (change(n, f"t{n}", **fields),)) for n in numbers]


def test_a_resumed_subscription_is_told_what_came_since_without_a_reset() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)))
    assert read is not None and read.since == at(8)
    desk.publish(11, change(11, "live"))
    desk.session.replayed(read, entries(9, 10))
    expected = [("t9", "STARTED"), ("t10", "STARTED"), ("live", "STARTED")]
    assert desk.data() == [told(expected, 11)]
    assert desk.data() == []


def test_where_nothing_came_since_a_bookmark_says_so() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(10)))
    assert read is not None
    desk.session.replayed(read, [])
    assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]
    read = desk.subscribe("two", since=str(at(10)))
    assert read is not None
    desk.session.replayed(read, [])
    assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]


def test_a_replay_tells_of_the_filter_and_the_topic_only() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)), **STARTED)
    assert read is not None
    replay = [
        Entry(at(9), (worker(9, "w"), change(9, "a", "SUCCESS", number=1))),
        Entry(at(10), (change(10, "b", "SUCCESS", was="STARTED"),)),
    ]
    desk.session.replayed(read, replay)
    assert desk.data() == [told(n=10, **{"del": ["b"]})]


def test_a_replay_comes_before_what_was_offered_meanwhile() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(9)), mode="events")
    assert read is not None
    desk.publish(11, change(11, "t10", "SUCCESS", was="STARTED"))
    desk.session.replayed(read, entries(10))
    assert desk.data() == [
        told([("t10", "STARTED")]),
        told([("t10", "SUCCESS")], 11),
    ]


def test_what_a_lagging_server_offers_again_is_not_told_again() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(12)))
    assert read is not None
    for n in (11, 12, 13):
        desk.publish(n, change(n, f"t{n}"))
    desk.session.replayed(read, entries(13))
    assert desk.data() == [told([("t13", "STARTED")], 13)]


@pytest.mark.parametrize("reason", ["trimmed", "epoch"])
def test_what_cannot_be_resumed_is_reset(reason: str) -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(since=str(at(8)))
    assert read is not None
    desk.session.restart(read, reason)
    again = desk.session.reads.popleft()
    assert again.since is None and not desk.session.wanted(read)
    desk.session.synced(again, at(10))
    assert desk.data() == [told([], 10, reset=reason)]
    assert desk.tally.resets == {reason: 1}


def test_counts_are_never_resumed() -> None:
    read = Desk().subscribe(topic="counts", since=str(at(1)))
    assert read is not None and read.since is None


# -- resets -----------------------------------------------------------------------------


def test_lost_history_resets_every_subscription_by_itself() -> None:
    desk = Desk()
    desk.live()
    desk.publish(11, change(11, "a"))
    woken = desk.woken
    desk.hub.start_over(Cursor(at(0).epoch + 1, 4), "epoch")
    assert desk.woken > woken
    assert desk.data() == []
    read = desk.session.reads.popleft()
    desk.session.page(read, [row(1, "b")])
    desk.session.synced(read, desk.hub.pos)
    cursor = {"cursor": str(desk.hub.pos)}
    assert desk.data() == [told([("b", "STARTED")], reset="epoch", **cursor)]
    assert desk.tally.resets == {"epoch": 1}


def test_a_reset_in_the_middle_of_a_snapshot_begins_it_anew() -> None:
    desk = Desk()
    read = desk.subscribe()
    assert read is not None
    desk.session.page(read, [row(1, "a")])
    desk.session.page(read, [row(2, "b")])
    desk.control()
    desk.hub.start_over(at(50), "trimmed")
    assert not desk.session.wanted(read)
    desk.session.restart(read, "epoch")
    assert not desk.session.reads, "the reset is underway already"
    desk.session.fail(read, "too_broad", "no", retry=False)
    assert not desk.control(), "what is read in vain is no error"
    woken = desk.woken
    assert desk.data() == []
    assert desk.woken > woken, "somebody has to do the read"
    again = desk.session.reads.popleft()
    assert desk.session.wanted(again) and not desk.session.reads
    desk.session.page(again, [row(49, "c")])
    desk.session.synced(again, at(50))
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
    assert desk.session.closing == (SLOW, "too slow; reconnect, or ask for less")
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
        read = desk.session.reads.pop()
        desk.session.synced(read, at(n))
        assert desk.data()[0]["reset"] == "slow"
    assert desk.session.closing is None


# -- done --------------------------------------------------------------------------------


def test_a_watch_on_ids_ends_when_all_are_final() -> None:
    desk = Desk()
    desk.live("s", row(1, "a", "STARTED"), row(2, "b", "FAILURE"), filter={"ids": "ab"})
    desk = Desk()
    desk.live("s", row(1, "b", "FAILURE"), filter={"ids": ["a", "b", "c"]})
    desk.publish(11, change(11, "a", "SUCCESS"))
    assert desk.data() == [told([("a", "SUCCESS")], 11)]
    desk.publish(12, change(12, "c", "STARTED", gone=True, was="STARTED"))
    assert desk.data() == [
        told(n=12, **{"del": ["c"]}),
        {"type": "done", "id": "s"},
    ]
    assert desk.hub.watchers() == 0


def test_a_watch_on_ids_that_are_final_already_ends_with_its_snapshot() -> None:
    desk = Desk()
    read = desk.subscribe(filter={"ids": "a"})
    assert read is not None
    desk.session.page(read, [row(1, "a", "SUCCESS")])
    desk.session.synced(read, at(10))
    said = desk.data()
    assert [f["type"] for f in said] == ["data", "done"]


@pytest.mark.parametrize("filter_", [{"ids": "a", "state": "SUCCESS"}, {}])
def test_other_watches_do_not_end(filter_: dict[str, Any]) -> None:
    desk = Desk()
    desk.live("s", row(1, "a", "SUCCESS"), filter=filter_)
    desk.publish(11, change(11, "a", "SUCCESS"))
    assert [f["type"] for f in desk.data()] == ["data"]


def resumed_ids(desk: Desk) -> Read:
    read = desk.subscribe(filter={"ids": ["a", "b"]}, since=str(at(10)))
    assert read is not None
    desk.session.replayed(read, [])
    desk.data()
    finals = desk.session.reads.popleft()
    assert finals.finals and desk.session.wanted(finals)
    return finals


def test_a_resumed_watch_on_ids_counts_what_ended_before() -> None:
    desk = Desk()
    finals = resumed_ids(desk)
    desk.session.finals(finals, [("a", f"{at(3)}.0"), ("b", f"{at(4)}.0")])
    assert not desk.session.wanted(finals)
    assert desk.data() == [{"type": "done", "id": "s"}]


def test_what_ended_a_moment_ago_is_told_before_it_counts() -> None:
    desk = Desk()
    finals = resumed_ids(desk)
    desk.session.finals(finals, [("a", f"{at(3)}.0"), ("b", f"{at(11)}.0")])
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
    desk.session.finals(Read(read.sub, finals=True), [("a", "1-1.0")])
    assert desk.data() == []


# -- what a client may do -------------------------------------------------------------------


def test_subscribing_again_takes_the_place_of_the_old_one() -> None:
    desk = Desk()
    old = desk.subscribe()
    new = desk.subscribe(since=str(at(9)))
    assert old is not None and new is not None
    assert not desk.session.wanted(old) and desk.session.wanted(new)
    assert (new.since, desk.hub.watchers()) == (at(9), 1)


@pytest.mark.parametrize(
    "other", [STARTED, {"topic": "workers"}, {"fields": ["name"]}], ids=repr
)
def test_subscribing_again_to_something_else_is_a_reset(other: dict[str, Any]) -> None:
    desk = Desk()
    desk.live()
    read = desk.subscribe(since=str(at(9)), **other)
    assert read is not None and read.since is None
    desk.session.synced(read, at(10))
    assert desk.data()[0]["reset"] == "filter"


def test_unsubscribing_ends_it_and_doing_so_twice_is_no_error() -> None:
    desk = Desk()
    desk.live()
    for _ in range(2):
        desk.say(type="unsubscribe", id="s")
    desk.publish(11, change(11))
    assert (desk.control(), desk.data(), desk.hub.watchers()) == ([], [], 0)


def test_ping_is_answered_and_auth_is_the_callers() -> None:
    desk = Desk()
    desk.say(type="ping")
    assert desk.control() == [{"type": "pong"}]
    assert desk.session.receive('{"type":"auth","token":"t"}', 0) == Auth("t")


def test_a_failed_read_is_answered_and_forgotten() -> None:
    desk = Desk()
    read = desk.subscribe()
    assert read is not None
    desk.session.fail(read, "store", "the store is away", retry=True)
    assert desk.control() == [
        {
            "type": "error",
            "id": "s",
            "code": "store",
            "message": "the store is away",
            "retry": True,
        }
    ]
    assert desk.hub.watchers() == 0


def test_an_ended_session_leaves_nothing_in_the_hub() -> None:
    desk = Desk()
    desk.live("a")
    desk.live("b")
    desk.session.end()
    assert desk.hub.watchers() == 0


def test_limits_are_said_and_the_socket_stays() -> None:
    desk = Desk(subs=2, ids_per_sub=2, in_bytes=200)
    desk.live("a")
    desk.live("b")
    desk.say(type="subscribe", id="c")
    desk.say(type="subscribe", id="a", filter={"ids": ["1", "2", "3"]})
    desk.session.receive(" " * 201, 0)
    assert errors(desk) == [
        (
            "too_many",
            "at most 2 subscriptions a connection; unsubscribe one",
            False,
        ),
        ("too_many", "at most 2 ids a subscription", False),
        ("too_big", "a message is over 200 bytes", False),
    ]
    desk.now += 1
    desk.say(type="subscribe", id="a")
    assert not errors(desk) and desk.session.closing is None


def test_as_many_subscribes_at_once_as_there_may_be_and_then_so_many_a_second() -> None:
    desk = Desk(subs=3, subscribes_per_s=10)
    for i in range(3):
        desk.say(type="subscribe", id=str(i))
    desk.say(type="subscribe", id="0")
    assert errors(desk) == [("rate", "too many subscribes; wait a second", True)]
    desk.now += 0.15
    desk.say(type="subscribe", id="0")
    assert not errors(desk)
    desk.say(type="subscribe", id="0")
    assert errors(desk)


@pytest.mark.parametrize(
    ("said", "code"),
    [({"type": "x"}, BAD_MESSAGE), ({"type": "subscribe", "id": "s"}, RATE)],
)
def test_too_many_bad_messages_in_a_row_close_the_connection(
    said: dict[str, Any], code: int
) -> None:
    desk = Desk(bad_messages=3, subs=1, subscribes_per_s=0)
    desk.subscribe()
    for _ in range(2):
        desk.say(**said)
    desk.say(type="ping")
    for _ in range(2):
        desk.say(**said)
    assert desk.session.closing is None, "the ping in between was meant"
    desk.say(**said)
    assert desk.session.closing is not None
    assert desk.session.closing[0] == code
    desk.session.close(1, "later")
    assert desk.session.closing[0] == code, "the first reason is told"


def test_answers_that_nobody_takes_fill_the_session() -> None:
    desk = Desk()
    for _ in range(BACKLOG):
        assert not desk.session.full
        desk.say(type="ping")
    assert desk.session.full
    desk.control()
    assert not desk.session.full
