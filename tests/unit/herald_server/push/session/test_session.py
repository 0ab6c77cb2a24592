"""The protocol, frame by frame: what is told, in what order, and with what cursor."""

from typing import Any

from herald_core.model.changes import Change
from herald_server.push.log.hub import BOOKMARK_CHANGES, COUNTS
from tests.support.model.changes import Desk, at, change, row, told, worker

EVERYTHING: dict[str, Any] = {"filter": {}}
STARTED: dict[str, Any] = {"filter": {"state": "STARTED"}}


# -- the snapshot ------------------------------------------------------------------


def test_a_snapshot_is_told_by_pages_and_only_the_last_has_a_cursor() -> None:
    desk = Desk()
    read = desk.subscribe(**EVERYTHING)
    assert read is not None
    assert read.since is None
    desk.session.on_page(read, [row(1, "a")])
    desk.session.on_page(read, [row(2, "b")])
    first = desk.control()
    assert [f["put"][0]["id"] for f in first] == ["a"]
    assert first[0]["reset"] == "new"
    assert "cursor" not in first[0]
    assert desk.data() == [], "nothing is safe before the snapshot is read"
    desk.session.on_snapshot_end(read, at(10))
    assert desk.data() == [told([("b", "STARTED")], 10)]


def test_an_empty_snapshot_is_told_as_well() -> None:
    desk = Desk()
    desk.live(**EVERYTHING)
    desk = Desk()
    read = desk.subscribe(**EVERYTHING)
    assert read is not None
    desk.session.on_snapshot_end(read, at(10))
    assert desk.data() == [told([], 10, reset="new")]


def test_a_snapshot_waits_until_the_log_was_read_to_where_it_ended() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(**STARTED)
    assert read is not None
    desk.session.on_page(read, [row(12, "a")])
    desk.session.on_snapshot_end(read, at(12))
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
    desk.session.on_page(read, [row(1, "early")])
    desk.session.on_page(read, [row(5, "stays"), row(6, "leaves"), row(7, "changes")])
    desk.control()
    desk.publish(
        11,
        change(11, "leaves", "SUCCESS", was="STARTED"),
        change(11, "early", "SUCCESS", was="STARTED", number=1),
        change(11, "changes", "STARTED", was="STARTED", number=2, worker="w2"),
        change(11, "new", "STARTED", number=3),
    )
    desk.session.on_snapshot_end(read, at(11))
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
    desk.session.on_page(read, [row(12, "a", "STARTED")])
    desk.session.on_snapshot_end(read, at(12))
    desk.publish(12, change(12, "a", "STARTED", was="RECEIVED"))
    assert desk.data() == [told([("a", "STARTED")], 12, reset="new")]
    desk.publish(13, change(13, "a", "SUCCESS", was="STARTED"))
    assert desk.data() == [told([("a", "SUCCESS")], 13)]


def test_a_snapshot_of_workers_and_counts_has_no_revs_to_compare() -> None:
    for topic in ("workers", "counts"):
        desk = Desk()
        read = desk.subscribe(topic=topic)
        assert read is not None
        desk.session.on_page(read, [("w", "", b'{"id":"w"}', False)])
        desk.session.on_snapshot_end(read, at(10))
        expected = {"type": "data", "id": "s", "reset": "new", "put": [{"id": "w"}]}
        assert desk.data() == [{**expected, "cursor": str(at(10))}]


def test_fields_are_cut_out_of_snapshot_and_changes() -> None:
    desk = Desk()
    read = desk.subscribe(fields=["worker"])
    assert read is not None
    desk.session.on_page(read, [row(1, "a")])
    desk.session.on_snapshot_end(read, at(10))
    assert desk.data()[0]["put"] == [{"id": "a"}]
    desk.publish(11, change(11, "b", worker="w1", queue="q"))
    assert desk.data()[0]["put"] == [{"id": "b", "worker": "w1"}]


# -- changes -----------------------------------------------------------------------


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
    assert desk.data() == [told(n=11, gone=["a"])]
    desk.publish(12, change(12, "b", "STARTED", was="STARTED", gone=True))
    assert desk.data() == [told(n=12, gone=["b"])]
    desk.publish(13, change(13, "c", "SUCCESS", was="RETRY"))
    assert desk.data() == []


def test_workers_are_told_and_forgotten() -> None:
    desk = Desk()
    desk.live(topic="workers")
    desk.publish(11, worker(11, "w1"), change(11, "a"))
    assert [f["put"] for f in desk.data()] == [[{"id": "w1"}]]
    desk.publish(12, worker(12, "w1", gone=True))
    assert desk.data() == [told(n=12, gone=["w1"])]


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
        told([("a", "RECEIVED"), ("b", "STARTED")], 11),
        told([("a", "STARTED")], 12),
        told([("a", "SUCCESS")], 13),
    ]


def test_no_transition_is_swallowed_by_the_snapshot() -> None:
    desk = Desk(pos=10)
    read = desk.subscribe(mode="events")
    assert read is not None
    desk.session.on_page(read, [row(11, "a", "RECEIVED")])
    desk.publish(11, change(11, "a", "RECEIVED"))
    desk.publish(12, change(12, "a", "STARTED", was="RECEIVED"))
    desk.publish(13, change(13, "a", "SUCCESS", was="STARTED"))
    desk.session.on_snapshot_end(read, at(13))
    assert desk.data() == [
        told([("a", "RECEIVED")], reset="new"),
        told([("a", "STARTED")]),
        told([("a", "SUCCESS")], 13),
    ]


# -- cursors -----------------------------------------------------------------------


def test_no_cursor_is_sent_while_any_subscription_is_incomplete() -> None:
    desk = Desk()
    desk.live("one")
    read = desk.subscribe("two", **STARTED)
    assert read is not None
    desk.publish(11, change(11, "a"))
    assert desk.data() == [told([("a", "STARTED")], sub="one")]
    desk.session.on_page(read, [row(11, "a")])
    desk.session.on_snapshot_end(read, at(11))
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
    assert desk.session.compute_bookmark_delay(desk.now + 5) == 10
    desk.now += 15
    assert desk.data() == [{"type": "cursor", "cursor": str(at(11))}]
    assert desk.data() == []
    desk.publish(11 + BOOKMARK_CHANGES)
    assert desk.data() == [{"type": "cursor", "cursor": str(at(11 + BOOKMARK_CHANGES))}]
    desk.now += 15
    assert len(desk.data()) == 1, "it is a heartbeat too: it comes if nothing moves"


def test_who_subscribes_to_nothing_gets_no_cursor() -> None:
    desk = Desk()
    assert desk.data() == []
