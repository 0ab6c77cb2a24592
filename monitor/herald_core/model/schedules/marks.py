"""What people said of schedules, and what monitors remember of them. Pure.

They are items of the store (`KeyValueStore`): servers write the marks, the monitor that
follows the schedules reads them and writes the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_core.model.schedules.learning import LearntSchedule
from herald_core.model.schedules.track import Track

CONFIRMED_KIND = "schedule-confirmed"
MUTED_KIND = "schedule-muted"
TRACK_KIND = "schedule-track"
SOURCES_KIND = "schedule-sources"

MARK_TTL_S = 10 * 366 * 86_400.0
TRACK_TTL_S = 32 * 86_400.0
SOURCES_TTL_S = 600.0


class ScheduleMark(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who marked a schedule, and when (RFC 3339); of a learnt one what was learnt."""

    by: str = ""
    at: str = ""
    learnt: LearntSchedule | None = None


class SourcesReport(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How many schedules each source has, and what could not be read, as sentences."""

    counts: dict[str, int] = {}
    problems: tuple[str, ...] = ()
    updated_at: str = ""


_marks = msgspec.json.Decoder(ScheduleMark)
_tracks = msgspec.json.Decoder(Track)
_reports = msgspec.json.Decoder(SourcesReport)
encode_item = msgspec.json.encode


def read_marks(items: Mapping[str, bytes]) -> dict[str, ScheduleMark]:
    """Return the stored marks by the ids of their schedules."""
    return {id_: _marks.decode(text) for id_, text in items.items()}


def read_tracks(items: Mapping[str, bytes]) -> dict[str, Track]:
    """Return the stored tracks by the ids of their schedules; none of an old format."""
    found: dict[str, Track] = {}
    for id_, text in items.items():
        try:
            found[id_] = _tracks.decode(text)
        except msgspec.ValidationError:
            continue
    return found


def read_report(text: bytes | None) -> SourcesReport:
    """Return the stored report about sources; an empty one if there is none."""
    return SourcesReport() if text is None else _reports.decode(text)
