"""Cursors, records, changes, keys, times: the small rooms of the model."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_monitor.errors import BadCursor
from herald_monitor.model.changes import (
    TASK,
    WORKER,
    Entry,
    quiet_rev,
    read_change,
    shown_rev,
    write_change,
)
from herald_monitor.model.codec import to_json, with_rev
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.filters import Before
from herald_monitor.model.keys import Keys, places
from herald_monitor.model.shape import TaskImage, rfc3339, to_dict, unix
from tests.unit.model.words import T0

# ---- cursors -----------------------------------------------------------------------


def test_a_cursor_is_written_and_read() -> None:
    assert parse_cursor("17-3") == Cursor(17, 3)
    assert str(Cursor(17, 3)) == "17-3"


def test_cursors_compare_by_epoch_then_number() -> None:
    ordered = [START, Cursor(1, 9), Cursor(1, 10), Cursor(2, 0)]
    assert sorted(random.Random(1).sample(ordered, 4)) == ordered


@pytest.mark.parametrize(
    ("cursor", "before", "follows"),
    [
        (Cursor(1, 2), Cursor(1, 1), True),
        (Cursor(1, 3), Cursor(1, 1), False),
        (Cursor(1, 1), Cursor(1, 1), False),
        (Cursor(2, 2), Cursor(1, 1), False),
    ],
)
def test_a_cursor_follows_only_if_nothing_can_lie_between(
    cursor: Cursor, before: Cursor, follows: bool
) -> None:
    assert cursor.follows(before) is follows


NO_CURSORS = ["", "5", "-", "5-", "-5", "a-1", "1-2-3", "1.5-2", "\u0663-\u0664"]


@pytest.mark.parametrize("text", [*NO_CURSORS, "9" * 21 + "-0", " 1-2", "1-+2"])
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="is no cursor; pass back one") as refused:
        parse_cursor(text)
    assert refused.value.param == "since"


def test_a_long_text_that_is_no_cursor_is_not_repeated_in_full() -> None:
    with pytest.raises(BadCursor) as refused:
        parse_cursor("x" * 10_000)
    assert len(str(refused.value)) < 120


# ---- revs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rev", "again"), [("1-2.3", "1-2.3+1"), ("1-2.3+1", "1-2.3+2"), ("1+9", "1+10")]
)
def test_a_rev_without_news_is_shown_as_before(rev: str, again: str) -> None:
    assert quiet_rev(rev) == again
    assert shown_rev(again) == shown_rev(rev) == rev.partition("+")[0]


def test_a_rev_is_put_into_an_image() -> None:
    image = TaskImage(id="t1", state="PENDING")
    assert with_rev(to_json(image), "1-2.0") == (
        b'{"id":"t1","state":"PENDING","rev":"1-2.0"}'
    )


# ---- changes -----------------------------------------------------------------------

IMAGE = TaskImage(id="t1", state="SUCCESS", name="x")


def test_a_change_comes_back_from_the_log() -> None:
    before = Before(state="STARTED", worker="w1@h")
    change = read_change(write_change(TASK, "t1", IMAGE, before), Cursor(1, 2), 3)
    assert (change.kind, change.id, change.rev) == (TASK, "t1", "1-2.3")
    assert change.place == (Cursor(1, 2), 3)
    assert change.json == with_rev(to_json(IMAGE), "1-2.3")
    assert (change.task, change.before, change.gone) == (IMAGE, before, False)


def test_what_was_forgotten_keeps_its_last_image_for_filters() -> None:
    field = write_change(TASK, "t1", IMAGE, gone=True)
    change = read_change(field, Cursor(1, 2), 0)
    assert (change.gone, change.json, change.task) == (True, b"", IMAGE)


def test_a_change_of_a_worker_has_no_task() -> None:
    field = write_change(WORKER, "w1@h", {"id": "w1@h"})
    change = read_change(field, Cursor(1, 2), 0)
    assert (change.task, change.json) == (None, b'{"id":"w1@h","rev":"1-2.0"}')


def test_an_entry_without_changes_is_a_heartbeat() -> None:
    assert Entry(Cursor(1, 2)).changes == ()


# ---- keys --------------------------------------------------------------------------


def test_all_keys_share_one_hash_tag() -> None:
    keys = Keys("{mine}")
    made = [
        *(value for name, value in vars(keys).items() if name != "prefix"),
        keys.record("t", "t1"),
        keys.index("state", "SUCCESS"),
        keys.values("name"),
        keys.lease("sweep"),
    ]
    assert all(key.startswith("{mine}:") for key in made)
    assert len(set(made)) == len(made)


def test_a_task_lies_in_the_places_of_what_it_has() -> None:
    image = TaskImage(
        id="t1",
        state="SUCCESS",
        name="x",
        worker="w1@h",
        queue="mail",
        root_id="r1",
        parent_id="p1",
        group_id="g1",
        tags=("a", "b"),
    )
    assert list(places(image)) == [
        ("state", "SUCCESS"),
        ("name", "x"),
        ("worker", "w1@h"),
        ("queue", "mail"),
        ("root", "r1"),
        ("parent", "p1"),
        ("group", "g1"),
        ("tag", "a"),
        ("tag", "b"),
    ]
    assert list(places(TaskImage(id="t1", root_id="t1"))) == []


# ---- times -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (T0, "2027-01-15T08:00:00.000Z"),
        (T0 + 0.0004, "2027-01-15T08:00:00.000Z"),
        (T0 + 0.9996, "2027-01-15T08:00:01.000Z"),
        (-5.0, "1970-01-01T00:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_times_are_shown_in_utc_with_milliseconds(at: float, text: str) -> None:
    assert rfc3339(at) == text


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1e11))
def test_times_come_back(at: float) -> None:
    assert abs(unix(rfc3339(at)) - at) <= 0.00052


def test_absent_fields_are_left_out() -> None:
    assert to_dict(TaskImage(id="t1", state="PENDING")) == {
        "id": "t1",
        "state": "PENDING",
    }
