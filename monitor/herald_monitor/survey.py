"""One look around: what the unfinished tasks are really doing.

Asks the result backend first, which knows endings; then the workers, which know
what they have; and what nobody knows is looked for in the broker's queues, and
asked for once more, before it is said to be lost. Whatever is found out becomes
an event, and is stored like any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from herald_monitor.heirs import with_heirs
from herald_monitor.model import shape
from herald_monitor.model.checks import Checks
from herald_monitor.model.events import Event
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.whereabouts import (
    LOOKS,
    MAY_HAVE_RUN,
    Gaps,
    Whereabouts,
    at_risk,
    comes_again,
    ended_by_itself,
    ended_unheard,
    is_absent,
    is_suspect,
    may_have_run,
    say_ended,
    say_gone,
    was_dropped,
    why_lost,
)
from herald_monitor.model.workers import WorkerImage
from herald_monitor.sources import Findings, Sources
from herald_monitor.store import Reader
from herald_monitor.turns import by_turns

log = logging.getLogger(__name__)

UNFINISHED = Filter(
    state=(shape.PENDING, shape.RECEIVED, shape.STARTED, shape.RETRY, shape.LOST)
)
PAGE = 500
MOST = 20_000
"""Tasks in one look. The rest has its turn in the next."""


class Survey:
    """Looks around for the unfinished tasks that `reader` knows.

    `lost_after` and the workers' `shutdown_grace` are in seconds; `behind` says
    whether events wait to be stored, so that nothing must be called lost;
    `listening_since` is since when (unix seconds) there was no break in hearing.
    """

    def __init__(
        self,
        reader: Reader,
        sources: Sources,
        lost_after: float,
        shutdown_grace: float,
        behind: Callable[[], bool],
        listening_since: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._reader = reader
        self._sources = sources
        self._lost_after = lost_after
        self._shutdown_grace = shutdown_grace
        self._behind = behind
        self._listening_since = listening_since
        self._checks = Checks(min(5.0, lost_after / 2))

    async def look(self, *, at_all: bool) -> Findings:
        """Ask about the tasks that are due, or about all. Raises `StoreError`."""
        found = Findings()
        began = time.time()
        workers = {one.hostname: one for one in await self._reader.workers(now=began)}
        due = await self._due(began, workers, at_all)
        found.walked = len(self._checks)
        found.checked = len(due)
        open_ = await self._sources.ask_backend(due, found)
        if open_ or at_all:
            told = await self._sources.ask_workers(open_, workers, began, found)
            where = msgspec.structs.replace(
                told,
                grace=self._shutdown_grace,
                listening_since=self._listening_since(),
            )
            await self._settle(open_, where, found)
        return found

    async def _due(
        self, now: float, workers: Mapping[str, WorkerImage], at_all: bool
    ) -> list[TaskImage]:
        due: list[TaskImage] = []
        seen: list[str] = []
        texts: dict[str, str] = {}
        page: str | None = None
        while True:
            got = await self._reader.page(UNFINISHED, limit=PAGE, page=page)
            for task in got.tasks:
                seen.append(task.id)
                is_due = self._checks.is_due(task, now)
                if is_due or at_all or _urgent(task, workers):
                    due.append(_without_texts(task, texts))
            page = got.next
            if page is None or len(due) >= MOST:
                break
        if page is None:
            self._checks.keep(seen)
        return due[:MOST]

    async def _settle(
        self, tasks: Sequence[TaskImage], where: Whereabouts, found: Findings
    ) -> None:
        """Note for each task when to look again, and look closely at what is missed."""
        now = time.time()
        suspects: list[TaskImage] = []
        async for task in by_turns(tasks):
            if is_suspect(task, where, self._lost_after):
                suspects.append(task)
            else:
                self._checks.looked(task, now)
        if suspects and found.complete and not self._behind():
            await self._look_closely(suspects, where, found)

    async def _look_closely(
        self, suspects: Sequence[TaskImage], where: Whereabouts, found: Findings
    ) -> None:
        """Go the way that a message goes: queues, workers, results."""
        waiting = await self._sources.look_at_queues(suspects, found)
        where = msgspec.structs.replace(
            where,
            queued=waiting.queued,
            unacked=waiting.unacked,
            queues_known=waiting.known,
            taken=self._sources.taken(waiting, where),
            last_taken=self._sources.last_taken(waiting, where),
        )
        gaps = await self._gaps()
        vague = [t async for t in by_turns(suspects) if may_have_run(t, where, gaps)]
        untold = await self._sources.untold(vague, where, found)
        where = msgspec.structs.replace(where, untold=untold)
        absent = [task async for task in by_turns(suspects) if is_absent(task, where)]
        absent = await self._without_heirs(absent, where)
        if absent:
            again = await self._sources.ask_workers(
                absent, where.workers, where.at, found, patient=True
            )
            where = msgspec.structs.replace(
                where,
                held=where.held | again.held,
                reachable=where.reachable | again.reachable,
                unheard=where.unheard or again.unheard,
            )
            absent = [task async for task in by_turns(absent) if is_absent(task, where)]
            absent = await self._sources.ask_backend(absent, found)
        missed = {task.id for task in absent}
        async for task in by_turns(suspects):
            if task.id not in missed:
                self._checks.looked(task, where.at)
        if found.complete and not self._behind():
            await self._give_up(absent, where, gaps, found)

    async def _without_heirs(
        self, absent: list[TaskImage], where: Whereabouts
    ) -> list[TaskImage]:
        """Leave out what may have been replaced, and comes back."""
        dropped = [task async for task in by_turns(absent) if was_dropped(task, where)]
        if not dropped:
            return absent
        waits = await with_heirs(self._reader, dropped)
        return [task for task in absent if task.id not in waits]

    async def _give_up(
        self,
        absent: Sequence[TaskImage],
        where: Whereabouts,
        gaps: Gaps,
        found: Findings,
    ) -> None:
        lost: list[Event] = []
        ended: list[Event] = []
        unheard: list[Event] = []
        async for task in by_turns(absent):
            if ended_unheard(task, where, gaps):
                unheard += self._note_ended(task, where.at)
                continue
            absence = self._checks.missed(task, where.at)
            why = why_lost(task, where, absence, self._lost_after)
            if why and task.id in where.untold:
                said = say_gone(task, where, absence, gaps)
                unheard.append(_inferred("ended", task, where.at, said))
            elif why and task.id in found.outlived:
                # The run is over: what was stored of an earlier one counts again.
                ending = found.outlived[task.id]
                now = msgspec.structs.replace(
                    ending, at=where.at, heard=None, said=None
                )
                ended.append(now)
            elif why and ended_by_itself(task, where):
                ended.append(_ignored(task, where.at))
            elif why:
                again = comes_again(task, where)
                why += f"; {MAY_HAVE_RUN}" if may_have_run(task, where, gaps) else ""
                lost.append(_inferred("lost", task, where.at, why, again=again))
        found.repaired += await self._sources.keep(ended + unheard)
        gone = [event for event in lost if not event.flag]
        if gone:
            log.warning("%d tasks are lost; one: %s", len(gone), gone[0].exception)
        found.lost += await self._sources.keep(gone)
        found.repaired += await self._sources.keep([e for e in lost if e.flag])

    def _note_ended(self, task: TaskImage, at: float) -> list[Event]:
        """Note that `task` ended unheard; return the word of it once that is sure."""
        if not task.reason and self._checks.missed(task, at).looks < LOOKS:
            return []
        self._checks.looked(task, at)
        return [] if task.reason else [_inferred("ended", task, at, say_ended(task))]

    async def _gaps(self) -> Gaps:
        """Return when events may have been missed."""
        gaps = await self._reader.gaps()
        return [(unix(gap.since), unix(gap.until)) for gap in gaps]


def _without_texts(task: TaskImage, texts: dict[str, str]) -> TaskImage:
    """Return `task` as a look needs it: all that are due are in memory at once.

    What they have in common is there once, in `texts`.
    """
    name, queue, worker = (
        text and texts.setdefault(text, text)
        for text in (task.name, task.queue, task.worker)
    )
    return msgspec.structs.replace(
        task,
        name=name,
        queue=queue,
        worker=worker,
        args=None,
        kwargs=None,
        result=None,
        exception=None,
        traceback=None,
    )


def _urgent(task: TaskImage, workers: Mapping[str, WorkerImage]) -> bool:
    return task.state == shape.STARTED and at_risk(task, workers)


def _ignored(task: TaskImage, at: float) -> Event:
    """Return the word that `task` ended in a state of its own."""
    why = (
        f"it gave itself the state {task.custom_state} and ended without a result"
        f" (Ignore()): worker {task.worker} lives and has it no more"
    )
    return _inferred("ignored", task, at, why)


def _inferred(
    kind: str, task: TaskImage, at: float, why: str, *, again: bool = False
) -> Event:
    """Return what Herald concludes of `task`, as of the beginning of the look.

    A word of the task that came since ends that at once. If a lost one comes `again`,
    only its run is lost.
    """
    return Event(
        kind=kind,
        task_id=task.id,
        at=at,
        source="inferred",
        host=task.worker or "",
        exception=why,
        flag=again,
    )
