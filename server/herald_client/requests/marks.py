"""Requests about marks, such as deploys, and what became slower since."""

from __future__ import annotations

from herald_client.models.answers import Deleted, MarkList
from herald_client.requests.request import Request, make_delete, make_get, make_post
from herald_core.model.marks.mark import Mark
from herald_core.model.marks.views import NameComparison, SlowerNames


def list_marks() -> Request[MarkList]:
    """Return the marks of the last seven days, the newest first."""
    return make_get("marks", answer=MarkList)


def mark(
    what: str, *, version: str | None = None, at: str | None = None
) -> Request[Mark]:
    """Set a mark on every chart, such as a deploy, at `at` (RFC 3339, or now)."""
    body = {"what": what, "version": version, "at": at}
    return make_post("marks", body=body, answer=Mark)


def delete_mark(mark_id: str) -> Request[Deleted]:
    """Delete a mark."""
    return make_delete("marks", mark_id, answer=Deleted)


def list_slower(
    mark: str | None = None, window: str | None = None
) -> Request[SlowerNames]:
    """Return the names that are slower since a mark, or fail more often.

    `mark` is the id of a mark, by default the newest; `window` the time that is
    compared on each side, such as 15m (default 1h).
    """
    query = {"mark": mark, "window": window}
    return make_get("slower", answer=SlowerNames, query=query)


def compare(
    name: str, mark: str | None = None, window: str | None = None
) -> Request[NameComparison]:
    """Return the runs of one name before and after a mark. See `slower`."""
    query = {"mark": mark, "window": window}
    return make_get("types", name, "compare", answer=NameComparison, query=query)
