"""Read schedules, and what is wrong with them, for all interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from herald_core.errors import HeraldError
from herald_core.model.schedules.marks import (
    CONFIRMED_KIND,
    MUTED_KIND,
    SOURCES_KIND,
    ScheduleMark,
    SourcesReport,
    read_marks,
    read_report,
)
from herald_core.store.ports import Store

KIND = "schedules"
STATE_ORDER = (
    *("beat_silent", "missed", "failed", "late", "overlapping", "unknown"),
    *("unconfirmed", "waiting", "running", "ok", "disabled"),
)
"""States of schedules, the most urgent first."""


class UnknownSchedule(HeraldError):
    """No schedule has this id or name."""


class ScheduleOverview(msgspec.Struct, frozen=True):
    """The schedules, the most urgent first, and the report about their sources."""

    schedules: list[dict[str, Any]]
    sources: SourcesReport


class ScheduleReader:
    """Reads the schedules of a store. Raises `ScopedTokenRefused` for narrow tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read_all(self) -> ScheduleOverview:
        """Return all schedules, with the marks that were made meanwhile."""
        documents = await self._store.list_documents(KIND)
        confirmed = read_marks(await self._store.get_items(CONFIRMED_KIND))
        muted = read_marks(await self._store.get_items(MUTED_KIND))
        images = [
            apply_marks(one.to_view(), confirmed.get(one.id), muted.get(one.id))
            for one in documents
        ]
        report = read_report(await self._store.get_item(SOURCES_KIND, "report"))
        return ScheduleOverview(sort_urgent_first(images), report)

    async def find(self, key: str) -> dict[str, Any]:
        """Return the schedule with an id or name. Raises `UnknownSchedule`."""
        images = (await self.read_all()).schedules
        by_id = [one for one in images if one["id"] == key]
        found = by_id or [one for one in images if one["name"] == key]
        if not found:
            raise UnknownSchedule(
                f"no schedule {key[:200]!r} is known; the list of schedules has those"
                " that are"
            )
        if len(found) > 1:
            ids = ", ".join(one["id"] for one in found[:5])
            raise UnknownSchedule(
                f"several schedules are named {key[:200]!r}; give an id: {ids}"
            )
        return found[0]


def apply_marks(
    image: dict[str, Any], confirmed: ScheduleMark | None, muted: ScheduleMark | None
) -> dict[str, Any]:
    """Return the image of a schedule with what people said of it. Pure."""
    known = {**image, "muted": muted is not None}
    if muted is not None:
        known["muted_by"] = muted.by
    if confirmed is not None:
        known |= {"confirmed": True, "confirmed_by": confirmed.by}
        if known["state"] == "unconfirmed":
            known["state"] = "waiting"
    return known


def sort_urgent_first(images: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return schedules by urgency, then by name; muted ones last. Pure."""
    ranks = {state: rank for rank, state in enumerate(STATE_ORDER)}
    return sorted(
        images,
        key=lambda one: (
            one["muted"],
            ranks.get(one["state"], len(ranks)),
            one["name"],
        ),
    )


def list_alerts(images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the worst problem of each schedule that is not muted. Pure.

    A silent scheduler is one alert for all schedules of its source.
    """
    alerts: list[dict[str, Any]] = []
    silent: dict[str, dict[str, Any]] = {}
    for image in images:
        if image["muted"] or not image["problems"]:
            continue
        worst = image["problems"][0]
        alert = {"id": image["id"], "name": image["name"], **worst, "schedules": 1}
        if worst["kind"] != "beat_silent":
            alerts.append(alert)
        elif image["source"] in silent:
            silent[image["source"]]["schedules"] += 1
        else:
            silent[image["source"]] = {**alert, "source": image["source"]}
    return [*silent.values(), *alerts]


def count_states(images: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return how many schedules are in each state. Pure."""
    counts: dict[str, int] = {}
    for image in images:
        counts[image["state"]] = counts.get(image["state"], 0) + 1
    return counts
