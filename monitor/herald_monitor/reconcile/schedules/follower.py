"""Follows schedules: one monitor decides what was due, what ran, and what did not.

Each check reads the sources (rarely), the marks of people, and the tasks that may be
runs of what is due. No event waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from herald_core.errors import HeraldError
from herald_core.model.documents import replace_with
from herald_core.model.gaps import BACKEND_REASON, Gap
from herald_core.model.monitors import find_proven_until
from herald_core.model.schedules.assignment import assign_runs
from herald_core.model.schedules.follow import Sight, advance
from herald_core.model.schedules.history import begin_with_history
from herald_core.model.schedules.learning import LearntSchedule
from herald_core.model.schedules.marks import (
    CONFIRMED_KIND,
    MUTED_KIND,
    TRACK_KIND,
    TRACK_TTL_S,
    ScheduleMark,
    encode_item,
    read_marks,
    read_tracks,
)
from herald_core.model.schedules.runs import may_belong_to, read_run
from herald_core.model.schedules.silence import find_silent_sources
from herald_core.model.schedules.spec import LEARNT, ScheduleSpec, make_fingerprint
from herald_core.model.schedules.track import Track
from herald_core.model.schedules.views import ScheduleMarks, make_view
from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.ports import Store
from herald_monitor.celery_client.schedules.planned import PlannedSchedule
from herald_monitor.reconcile.schedules.planner import SchedulePlanner
from herald_monitor.reconcile.schedules.run_reader import RunReader, TaskSelection

log = logging.getLogger(__name__)

CHECK_INTERVAL_S = 5.0
POLL_INTERVAL_S = 1.0
SETTLE_S = 10.0
"""Seconds after a takeover in which nothing is decided: a gap before it may not be
stored yet."""

KIND = "schedules"
DOCUMENT_TTL_S = 86_400.0
RENEW_INTERVAL_S = 3_600.0
HISTORY_TASKS = 50
MAX_NEW = 20
"""Schedules that are begun in one check: of each the last run is read."""


class ScheduleFollower:
    """Follows the schedules of `planner` in `store`, while `is_leader` returns True.

    `find_stored_until` returns the time (unix seconds) before which this monitor has
    stored all events. It checks every `every` seconds; never if that is 0.
    """

    def __init__(
        self,
        store: Store,
        planner: SchedulePlanner,
        runs: RunReader,
        is_leader: Callable[[], bool],
        find_stored_until: Callable[[float], float],
        every: float = CHECK_INTERVAL_S,
    ) -> None:
        self.problem = ""
        self._store = store
        self._planner = planner
        self._runs = runs
        self._is_leader = is_leader
        self._find_stored_until = find_stored_until
        self._interval_s = every
        self._tracks: dict[str, Track] = {}
        self._written: dict[str, dict[str, Any]] = {}
        self._renewed_at = 0.0
        self._began_at: float | None = None

    async def run(self) -> None:
        """Check the schedules until cancelled."""
        try:
            while True:
                due = self._interval_s > 0 and self._is_leader()
                if due:
                    await self._try_check()
                else:
                    self._began_at = None
                await asyncio.sleep(self._interval_s if due else POLL_INTERVAL_S)
        finally:
            self._planner.close()

    def list_learnt(self) -> Mapping[str, LearntSchedule]:
        """Return the schedules that were learnt, by id."""
        return self._planner.learnt

    async def _try_check(self) -> None:
        try:
            await self.check(time.time())
            self.problem = ""
        except HeraldError as error:
            if str(error) != self.problem:
                log.warning("%s", error)
            self.problem = str(error)
        except Exception:  # whatever is wrong with one look, the next may do
            log.exception("The schedules could not be followed; trying again")

    async def check(self, now: float) -> None:
        """Check once, at `now` (unix seconds). Raises `StoreError`."""
        if self._began_at is None:
            await self._take_over()
            self._began_at = now
        confirmed = read_marks(await self._store.get_items(CONFIRMED_KIND))
        muted = read_marks(await self._store.get_items(MUTED_KIND))
        planned = await self._planner.list_planned(confirmed, now)
        if not planned and not self._written:
            return
        await self._begin_new(planned, now)
        followed = {
            id_: (one.spec, self._tracks[id_])
            for id_, one in planned.items()
            if id_ in self._tracks
        }
        if now - self._began_at >= SETTLE_S:
            await self._advance(planned, followed, now)
        await self._publish(followed, confirmed, muted, now)
        await self._delete_gone(planned, now)

    async def _take_over(self) -> None:
        """Continue where the monitor stopped that followed them before."""
        stored = await self._store.get_items(TRACK_KIND)
        self._tracks = read_tracks(stored)
        documents = await self._store.list_documents(KIND)
        self._written = {one.id: dict(one.data) for one in documents}
        self._renewed_at = 0.0
        await self._planner.load_learnt()

    async def _begin_new(
        self, planned: Mapping[str, PlannedSchedule], now: float
    ) -> None:
        """Begin to follow schedules that are new, or were changed."""
        changed = [
            one
            for id_, one in planned.items()
            if id_ not in self._tracks
            or self._tracks[id_].fingerprint != make_fingerprint(one.spec)
        ]
        for spec, next_due in changed[:MAX_NEW]:
            tasks = await self._runs.read_newest(spec.task, HISTORY_TASKS)
            own = [read_run(task) for task in tasks if may_belong_to(spec, task)]
            runs = [run for run in own if run is not None]
            track = begin_with_history(spec, runs, next_due, now)
            await self._keep(spec.id, track)

    async def _keep(self, id_: str, track: Track) -> None:
        if self._tracks.get(id_) != track:
            self._tracks[id_] = track
            await self._store.put_item(TRACK_KIND, id_, encode_item(track), TRACK_TTL_S)

    async def _advance(
        self,
        planned: Mapping[str, PlannedSchedule],
        followed: dict[str, tuple[ScheduleSpec, Track]],
        now: float,
    ) -> None:
        """Decide what can be decided at `now`."""
        pairs = list(followed.values())
        # Before the tasks are read: what arrives meanwhile is not among them.
        until = await self._find_known_until(now)
        reading = await self._runs.read(pairs, now)
        found = assign_runs(reading.tasks, pairs)
        gaps = list_gap_times(await self._store.list_gaps())
        for id_, (spec, track) in followed.items():
            if not _is_readable(spec, track, reading, now):
                continue
            sight = Sight(
                now=now,
                known_until=until,
                gaps=gaps,
                whole=spec.task not in reading.crowded,
            )
            next_due = planned[id_].next_due
            newer = advance(track, spec, found[id_], next_due, sight)
            followed[id_] = spec, newer
            await self._keep(id_, newer)

    async def _find_known_until(self, now: float) -> float:
        """Return the time before which all events are stored, by every monitor."""
        monitors = await self._store.list_monitors()
        return min(self._find_stored_until(now), find_proven_until(monitors, now))

    async def _publish(
        self,
        followed: Mapping[str, tuple[ScheduleSpec, Track]],
        confirmed: Mapping[str, ScheduleMark],
        muted: Mapping[str, ScheduleMark],
        now: float,
    ) -> None:
        """Store the images that changed."""
        silent = find_silent_sources(followed.values())
        images = {
            id_: make_view(
                spec,
                track,
                now,
                marks=ScheduleMarks(
                    confirmed=spec.source != LEARNT or id_ in confirmed,
                    muted=id_ in muted,
                ),
                silent_since=silent.get(spec.source),
                learnt=self._planner.learnt.get(id_),
            )
            for id_, (spec, track) in followed.items()
        }
        await self._store_images(images, now)

    async def _store_images(
        self, images: Mapping[str, dict[str, Any]], now: float
    ) -> None:
        renew = now - self._renewed_at >= RENEW_INTERVAL_S
        changed = {
            id_: replace_with(image)
            for id_, image in images.items()
            if renew or self._written.get(id_) != image
        }
        if changed:
            await self._store.update_documents(
                KIND, changed, now=now, seconds=DOCUMENT_TTL_S
            )
        self._written |= images
        self._renewed_at = now if renew else self._renewed_at

    async def _delete_gone(
        self, planned: Mapping[str, PlannedSchedule], now: float
    ) -> None:
        """Delete schedules that no source has any more, unless it was not read."""
        gone = [
            id_
            for id_, image in self._written.items()
            if id_ not in planned and image.get("source") not in self._planner.failed
        ]
        if gone:
            await self._store.delete_documents(KIND, gone, now=now)
        for id_ in gone:
            del self._written[id_]
            self._tracks.pop(id_, None)
            await self._store.delete_item(TRACK_KIND, id_)


def _is_readable(
    spec: ScheduleSpec, track: Track, reading: TaskSelection, now: float
) -> bool:
    """Return True if its tasks were read, or none are needed."""
    return spec.task in reading.names or not (
        track.pending is not None and track.pending <= now
    )


def list_gap_times(gaps: Sequence[Gap]) -> tuple[tuple[float, float], ...]:
    """Return the stretches (unix seconds) in which submissions may be missing."""
    return tuple(
        (from_rfc3339(gap.since), from_rfc3339(gap.until))
        for gap in gaps
        if not gap.durable and not gap.reason.startswith(BACKEND_REASON)
    )
