"""Marks for workers that change their version: one for a roll-out to many of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from herald_core.model.codec import to_json
from herald_core.model.documents import replace_with
from herald_core.model.marks.mark import (
    MARK_KIND,
    MARK_TTL_S,
    RELEASE,
    SOFTWARE,
    Mark,
    read_marks,
    to_document_data,
)
from herald_core.model.marks.version_changes import (
    KnownVersions,
    RunningVersion,
    find_changes,
    fold_changes,
    update_known,
)
from herald_core.model.workers.worker import LIVING_STATES, WorkerView
from herald_core.store.ports import Store

log = logging.getLogger(__name__)

ITEM_KIND = "versions"
ITEM_TTL_S = 7 * 86_400.0
REWRITE_INTERVAL_S = 3_600.0
"""Seconds after which known versions are stored again, so that they do not expire."""

RELOAD_AFTER_S = 15.0
"""Seconds without a check after which another monitor may have checked meanwhile."""


class VersionWatch:
    """Compares the versions of workers with those known, and stores marks.

    What is known is in `store`, so it outlives this monitor. Only the monitor that
    reconciles checks.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, KnownVersions] = {}
        self._written_at: dict[str, float] = {}
        self._checked_at = 0.0

    async def check(self, workers: Sequence[WorkerView], now: float) -> None:
        """Store marks for what changed since the last check.

        `workers` are all stored ones, as they are at `now`. Raises `StoreError`.
        """
        if now - self._checked_at > RELOAD_AFTER_S:
            await self._load()
        for kind in (RELEASE, SOFTWARE):
            await self._check_kind(kind, workers, now)
        self._checked_at = now

    async def _load(self) -> None:
        stored = await self._store.get_items(ITEM_KIND)
        self._known = {
            kind: msgspec.json.decode(text, type=KnownVersions)
            for kind, text in stored.items()
        }
        self._written_at.clear()

    async def _check_kind(
        self, kind: str, workers: Sequence[WorkerView], now: float
    ) -> None:
        known = self._known.get(kind, KnownVersions())
        running = list_running(kind, workers)
        changes = find_changes(known, running, now)
        if changes:
            documents = await self._store.list_documents(MARK_KIND)
            await self._store_marks(
                fold_changes(read_marks(documents, now), changes, kind), now
            )
        updated = update_known(known, running, (one.hostname for one in workers))
        await self._remember(kind, updated, now)

    async def _store_marks(self, marks: Sequence[Mark], now: float) -> None:
        updates = {mark.id: replace_with(to_document_data(mark)) for mark in marks}
        await self._store.update_documents(
            MARK_KIND, updates, now=now, seconds=MARK_TTL_S
        )
        for mark in marks:
            log.info("Marked: %s", mark.what)

    async def _remember(self, kind: str, known: KnownVersions, now: float) -> None:
        is_old = now - self._written_at.get(kind, 0.0) > REWRITE_INTERVAL_S
        if known.current and (known != self._known.get(kind) or is_old):
            await self._store.put_item(ITEM_KIND, kind, to_json(known), ITEM_TTL_S)
            self._written_at[kind] = now
        self._known[kind] = known


def list_running(kind: str, workers: Sequence[WorkerView]) -> list[RunningVersion]:
    """Return what living workers run: their `release` or their `software`."""
    found: list[RunningVersion] = []
    for one in workers:
        version = one.release if kind == RELEASE else one.software
        if version and one.state in LIVING_STATES:
            found.append(RunningVersion(one.hostname, version, one.started_at))
    return found
