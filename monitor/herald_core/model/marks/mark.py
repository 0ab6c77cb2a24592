"""A mark: a moment that every chart shows, such as a deploy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from herald_core.model.documents import Document
from herald_core.model.tasks.views import from_rfc3339

MARK_KIND = "marks"
"""The kind of documents that marks are."""

MARK_TTL_S = 7 * 86_400.0
"""Seconds for which a mark is kept after its last change."""

MAX_WHAT_CHARS = 200
MAX_VERSION_CHARS = 128

DEPLOY = "deploy"
RELEASE = "release"
SOFTWARE = "software"
KINDS = (DEPLOY, RELEASE, SOFTWARE)
"""Set by a caller; seen as another `release` of workers; as other software of them."""

MAX_ROLLOUT_S = 600.0
"""Seconds after a mark in which the minutes of a roll-out count to neither side."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mark, as every interface shows it. Times are RFC 3339.

    `what` is a sentence of a few words, `version` what runs from then on and `before`
    what ran until then, where they are known. A mark that Herald set by itself has the
    number of `workers` that changed, and the time `until` which the last of them did.
    `who` is the name of the caller's token.
    """

    id: str
    at: str
    kind: str
    what: str
    version: str | None = None
    before: str | None = None
    workers: int | None = None
    until: str | None = None
    who: str | None = None

    @property
    def end(self) -> str:
        """When the last worker changed, as far as is known."""
        return self.until or self.at


def to_document_data(mark: Mark) -> dict[str, Any]:
    """Return `mark` as the data of its document, whose id is that of the mark."""
    data: dict[str, Any] = msgspec.to_builtins(mark)
    del data["id"]
    return data


def from_document_data(id_: str, data: Mapping[str, Any]) -> Mark:
    """Return the mark in a document. Raises `msgspec.ValidationError`."""
    return msgspec.convert({**data, "id": id_}, Mark)


def read_marks(documents: Iterable[Document], now: float) -> list[Mark]:
    """Return the marks in `documents` that live at `now`, the newest first."""
    found = [
        from_document_data(one.id, one.data)
        for one in documents
        if not one.is_expired(now)
    ]
    return sorted(found, key=lambda mark: (mark.at, mark.id), reverse=True)


def find_rollout_end(mark: Mark) -> float:
    """Return the unix seconds from which on only the new version is judged.

    At most `MAX_ROLLOUT_S` seconds after the mark: the last worker of a slow roll-out
    does not hide what the first ones show.
    """
    begin = from_rfc3339(mark.at)
    return min(max(from_rfc3339(mark.end), begin), begin + MAX_ROLLOUT_S)
