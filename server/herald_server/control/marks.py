"""Set and delete marks, such as the deploy that a CI job reports."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.documents import replace_with
from herald_core.model.marks.mark import (
    DEPLOY,
    MARK_KIND,
    MARK_TTL_S,
    MAX_VERSION_CHARS,
    MAX_WHAT_CHARS,
    Mark,
    to_document_data,
)
from herald_core.model.queries.moments import parse_instant
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity
from herald_server.insight.deploys.marks import UnknownMark

MAX_AHEAD_S = 60.0
"""Seconds by which the clock of a caller may be ahead."""

KEYS = ("what", "at", "version")


class MarkRequest(msgspec.Struct, frozen=True):
    """A request for a mark. `at` is in unix seconds, None for now."""

    what: str
    at: float | None = None
    version: str | None = None


def parse_mark_request(given: Mapping[str, object], now: float) -> MarkRequest:
    """Return the parsed request (a JSON object). Raises `InvalidInput`."""
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0]!r}; it takes what, and also at and version"
        )
    what = _parse_text(given.get("what"), "what", MAX_WHAT_CHARS)
    version = given.get("version")
    return MarkRequest(
        what,
        None if given.get("at") is None else _parse_time(given["at"], now),
        None if version is None else _parse_text(version, "version", MAX_VERSION_CHARS),
    )


def _parse_text(given: object, key: str, limit: int) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text or len(text) > limit or not text.isprintable():
        raise InvalidInput(
            f"{key} must be a text of 1 to {limit} printable characters, such as "
            + ("deploy 4f1c" if key == "what" else "4f1c"),
            key,
        )
    return text


def _parse_time(given: object, now: float) -> float:
    seconds = parse_instant(given)
    if seconds is None:
        raise InvalidInput(
            "at must be a time with its offset such as 2026-01-31T12:00:00Z", "at"
        )
    if not now - MARK_TTL_S < seconds <= now + MAX_AHEAD_S:
        raise InvalidInput("at must lie in the last 7 days", "at")
    return min(seconds, now)


class MarkBook:
    """Sets and deletes marks in `store`; each action is recorded in `audit`."""

    def __init__(self, store: Store, audit: AuditLog) -> None:
        self._store = store
        self._audit = audit

    async def add(self, request: MarkRequest) -> Mark:
        """Store a mark of the current caller and return it.

        The same request with the same `at` is the same mark. Raises `StoreError`.
        """
        now, who = time.time(), get_identity()
        mark = Mark(
            id=_make_id(request),
            at=to_rfc3339(request.at if request.at is not None else now),
            kind=DEPLOY,
            what=request.what,
            version=request.version,
            who=who.name if who else None,
        )
        # It expires as the minutes around it do, however late it was set.
        age = max(now - from_rfc3339(mark.at), 0.0)
        await self._store.update_documents(
            MARK_KIND,
            {mark.id: replace_with(to_document_data(mark))},
            now=now,
            seconds=max(MARK_TTL_S - age, 1.0),
        )
        await self._audit.record("mark", mark.id, name=mark.what)
        return mark

    async def delete(self, mark_id: str) -> None:
        """Delete a mark. Raises `UnknownMark`, `StoreError`."""
        deleted = await self._store.delete_documents(
            MARK_KIND, [mark_id], now=time.time()
        )
        if not deleted:
            raise UnknownMark(f"no mark {mark_id[:80]!r} is known: nothing is deleted")
        await self._audit.record("delete_mark", mark_id)


def _make_id(request: MarkRequest) -> str:
    """Return a new id; for a given time always the same, so that a CI job may retry."""
    if request.at is None:
        return uuid.uuid4().hex[:16]
    key = "\0".join((request.what, request.version or "", to_rfc3339(request.at)))
    return hashlib.sha256(key.encode()).hexdigest()[:16]
