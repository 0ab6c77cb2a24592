"""A mark is stored as a document, and bounds the minutes of a roll-out."""

from __future__ import annotations

from typing import Any

from herald_core.model.documents import Document
from herald_core.model.marks.mark import (
    DEPLOY,
    MARK_KIND,
    Mark,
    find_rollout_end,
    from_document_data,
    read_marks,
    to_document_data,
)
from herald_core.model.tasks.views import from_rfc3339

AT = "2026-11-30T08:33:20.000Z"


def make(**fields: Any) -> Mark:
    given: dict[str, Any] = {"id": "m1", "at": AT, "kind": DEPLOY, "what": "deploy"}
    return Mark(**given | fields)


def test_a_mark_is_the_same_after_it_was_stored() -> None:
    mark = make(version="4f1c", before="3e0b", who="ci")
    data = to_document_data(mark)
    assert "id" not in data
    assert from_document_data("m1", data) == mark


def test_marks_are_listed_newest_first_without_expired_ones() -> None:
    old, new = make(), make(id="m2", at="2026-11-30T08:34:00.000Z")
    gone = make(id="m3")
    documents = [
        Document(MARK_KIND, one.id, to_document_data(one), AT, expires_at)
        for one, expires_at in ((old, 20.0), (new, 20.0), (gone, 10.0))
    ]
    assert read_marks(documents, 10.0) == [new, old]


def test_a_roll_out_ends_with_its_last_worker_or_after_ten_minutes() -> None:
    begin = from_rfc3339(AT)
    assert find_rollout_end(make()) == begin
    assert find_rollout_end(make(until="2026-11-30T08:35:20.000Z")) == begin + 120
    assert find_rollout_end(make(until="2026-11-30T10:00:00.000Z")) == begin + 600
