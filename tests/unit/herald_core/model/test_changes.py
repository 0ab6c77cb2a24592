"""Changes and entries of the change log, and the revs of their images."""

import pytest

from herald_core.model.changes import (
    TASK,
    WORKER,
    LogEntry,
    decode_change,
    encode_change,
    to_public_rev,
    to_silent_rev,
)
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import PreviousValues
from herald_core.model.tasks.views import TaskView


@pytest.mark.parametrize(
    ("rev", "again"), [("1-2.3", "1-2.3+1"), ("1-2.3+1", "1-2.3+2"), ("1+9", "1+10")]
)
def test_a_rev_without_news_is_shown_as_before(rev: str, again: str) -> None:
    assert to_silent_rev(rev) == again
    assert to_public_rev(again) == to_public_rev(rev) == rev.partition("+")[0]


IMAGE = TaskView(id="t1", state="SUCCESS", name="x")


def test_a_change_comes_back_from_the_log() -> None:
    before = PreviousValues(state="STARTED", worker="w1@h")
    change = decode_change(encode_change(TASK, "t1", IMAGE, before), Cursor(1, 2), 3)
    assert (change.kind, change.id, change.rev) == (TASK, "t1", "1-2.3")
    assert change.place == (Cursor(1, 2), 3)
    assert change.json == to_json(IMAGE)[:-1] + b',"rev":"1-2.3"}'
    assert (change.task, change.before, change.is_deletion) == (IMAGE, before, False)


def test_what_was_forgotten_keeps_its_last_image_for_filters() -> None:
    field = encode_change(TASK, "t1", IMAGE, gone=True)
    change = decode_change(field, Cursor(1, 2), 0)
    assert (change.is_deletion, change.json, change.task) == (True, b"", IMAGE)


def test_a_change_of_a_worker_has_no_task() -> None:
    field = encode_change(WORKER, "w1@h", {"id": "w1@h"})
    change = decode_change(field, Cursor(1, 2), 0)
    assert (change.task, change.json) == (None, b'{"id":"w1@h","rev":"1-2.0"}')


def test_an_entry_without_changes_is_a_heartbeat() -> None:
    assert LogEntry(Cursor(1, 2)).changes == ()
