"""Reading the store in memory: it looks at every task to answer a question."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from herald_monitor.batch import Known, Name, Shown
from herald_monitor.model.changes import GAP, QUEUE, TASK, WORKER
from herald_monitor.model.facts import is_group_registered
from herald_monitor.model.filters import Filter
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.reading import attempts
from herald_monitor.model.shape import EXPIRED, UNKNOWN, AttemptImage, TaskImage
from herald_monitor.model.tasks import Task
from herald_monitor.model.workers import WorkerImage, worker_image
from herald_monitor.paging import read_token, write_token
from herald_monitor.store import Gap, Memory, MonitorImage, Page, proven_until


class MemoryReader:
    """The part of the store in memory that answers."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Name, Known] = {}
        self._gone: dict[str, None] = {}
        self._monitors: dict[str, tuple[float, MonitorImage]] = {}

    async def task(self, task_id: str) -> TaskImage:
        known = self._known.get((TASK, task_id))
        if known is None:
            state = EXPIRED if task_id in self._gone else UNKNOWN
            return TaskImage(id=task_id, state=state)
        return _shown(known)

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        known = self._known.get((TASK, task_id))
        return (
            attempts(known.record) if known and isinstance(known.record, Task) else []
        )

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        found = [self._known.get((TASK, id_)) for id_ in ids]
        return [_shown(known) if known else None for known in found]

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> Page:
        last = read_token(page) if page is not None else None
        numbers = sorted(
            (
                (known.number, known)
                for known, _ in self._matching(filter_)
                if (last is None or known.number < last)
                and (after is None or float(known.first) >= after * 1000)
                and (before is None or float(known.first) < before * 1000)
            ),
            key=lambda pair: pair[0],
            reverse=True,
        )
        shown = numbers[: max(limit, 1)]
        tasks = tuple(_shown(known) for _, known in shown)
        more = len(numbers) > len(shown)
        return Page(tasks, write_token(shown[-1][0]) if more else None)

    async def count(self, filter_: Filter, most: int) -> int:
        return len(list(self._matching(filter_)))

    async def counts(self) -> dict[str, int]:
        return dict(Counter(image.state for _, image in self._matching(Filter())))

    async def workers(self, *, now: float) -> list[WorkerImage]:
        known = [self._known[name] for name in sorted(self._named(WORKER))]
        until = proven_until(await self.monitors(), now)
        return [
            worker_image(one.record.worker, now, one.shown_rev, until)
            for one in known
            if isinstance(one.record, Shown)
        ]

    async def gaps(self) -> list[Gap]:
        known = [self._known[name] for name in self._named(GAP)]
        gaps = [
            msgspec.structs.replace(one.record, rev=one.shown_rev)
            for one in known
            if isinstance(one.record, Gap)
        ]
        return sorted(gaps, key=lambda gap: (gap.since, gap.id), reverse=True)

    async def monitors(self) -> list[MonitorImage]:
        now = time.monotonic()
        return [image for until, image in self._monitors.values() if until > now]

    async def memory(self) -> list[Memory]:
        return []

    async def queues(self) -> list[QueueImage]:
        known = [self._known[name] for name in sorted(self._named(QUEUE))]
        return [
            msgspec.structs.replace(one.record, rev=one.shown_rev)
            for one in known
            if isinstance(one.record, QueueImage)
        ]

    async def groups(self, limit: int) -> list[tuple[str, float]]:
        newest: dict[str, Known] = {}
        for known, task in self._matching(Filter()):
            if task.group_id:
                last = newest.setdefault(task.group_id, known)
                if known.number > last.number:
                    newest[task.group_id] = known
        found = sorted(newest, key=lambda name: newest[name].number, reverse=True)
        return [(name, float(newest[name].first) / 1000) for name in found[:limit]]

    async def group_counts(self, group_id: str) -> dict[str, int]:
        wanted = Filter(group=(group_id,))
        return dict(Counter(image.state for _, image in self._matching(wanted)))

    async def registered(self, ids: Sequence[str]) -> set[str]:
        found = [self._known.get((TASK, id_)) for id_ in ids]
        records = [known.record for known in found if known]
        return {
            record.id
            for record in records
            if isinstance(record, Task) and is_group_registered(record.facts)
        }

    async def queue_names(self, since: float) -> list[str]:
        tasks = (task for _, task in self._matching(Filter()))
        return sorted({task.queue for task in tasks if task.queue})

    def _named(self, kind: str) -> list[Name]:
        return [name for name in self._known if name[0] == kind]

    def _matching(self, filter_: Filter) -> Iterable[tuple[Known, TaskImage]]:
        for known in self._known.values():
            if isinstance(known.image, TaskImage) and filter_.matches(known.image):
                yield known, known.image


def _shown(known: Known) -> TaskImage:
    assert isinstance(known.image, TaskImage)
    return msgspec.structs.replace(known.image, rev=known.shown_rev)
