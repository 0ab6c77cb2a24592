"""Bodies that answers of all kinds share."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

JsonObject = dict[str, Any]
"""An object whose members others define."""


class ProblemDocument(TypedDict):
    """An error (RFC 9457); `detail` says what happened and what to do."""

    type: str
    title: str
    status: int
    detail: str


class StaleMark(TypedDict):
    """Why the data may be outdated, and since when (RFC 3339)."""

    reason: str
    since: NotRequired[str]


class MarkedAnswer(TypedDict):
    """An answer from the store; `stale` says that it may be outdated."""

    stale: NotRequired[StaleMark]


class StatusAnswer(TypedDict):
    """The answer of a probe."""

    status: str


class DeletedRecord(TypedDict):
    """A mark or a silence that was deleted."""

    id: str
    message: str
