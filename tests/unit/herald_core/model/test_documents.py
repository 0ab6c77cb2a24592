"""Documents: their public view, and what cannot be stored."""

from typing import Any

import pytest

from herald_core.model.documents import (
    MAX_DOCUMENT_BYTES,
    Document,
    check_document,
    replace_with,
)


def document(**data: Any) -> Document:
    return Document("marks", "m", data, "2026-01-02T03:04:05.000Z", 60.0)


def test_the_view_has_the_data_and_the_times() -> None:
    assert document(what="deploy").to_view() == {
        "id": "m",
        "what": "deploy",
        "updated_at": "2026-01-02T03:04:05.000Z",
    }


def test_the_view_of_a_stored_one_has_its_rev() -> None:
    stored = Document("marks", "m", {}, "2026-01-02T03:04:05.000Z", 60.0, "1-2.0")
    assert stored.to_view()["rev"] == "1-2.0"


def test_it_expires_at_its_time() -> None:
    assert not document().is_expired(59.9)
    assert document().is_expired(60.0)


def test_an_edit_replaces_whatever_is_stored() -> None:
    update = replace_with({"a": 1})
    assert update(None) == update({"b": 2}) == {"a": 1}


def test_the_data_of_a_known_kind_is_accepted() -> None:
    check_document("orders", {"state": "running"})


@pytest.mark.parametrize(
    ("kind", "data", "problem"),
    [
        ("tasks", {}, "unknown kind of document 'tasks'"),
        ("marks", {"id": "x"}, "may not have the keys"),
        ("marks", {"what": "x" * MAX_DOCUMENT_BYTES}, "too large"),
    ],
)
def test_what_cannot_be_stored_is_named(
    kind: str, data: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_document(kind, data)
