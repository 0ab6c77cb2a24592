"""Reading the store in memory: it looks at every task to answer a question."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER
from herald_core.model.documents import Document
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView, find_proven_until
from herald_core.model.queries.needles import Needle
from herald_core.model.queries.text_term import FIELDS_BY_PLACE, FULL_TEXT
from herald_core.model.tasks.attributes import is_group_registered
from herald_core.model.tasks.projection import list_attempts
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import EXPIRED, UNKNOWN, AttemptView, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView, make_worker_view
from herald_core.store.page_tokens import decode_token, encode_token
from herald_core.store.ports import SCAN_STEP_TASKS
from herald_core.store.records import AnnouncedWorker, RecordKey, StoredRecord
from herald_core.store.types import ScanStep, ServerMemory, TaskPage


class MemoryReader:
    """The part of the store in memory that answers."""

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[RecordKey, StoredRecord] = {}
        self._expired_ids: dict[str, None] = {}
        self._monitors: dict[str, tuple[float, MonitorView]] = {}

    async def get_task(self, task_id: str) -> TaskView:
        known = self._records.get((TASK, task_id))
        if known is None:
            state = EXPIRED if task_id in self._expired_ids else UNKNOWN
            return TaskView(id=task_id, state=state)
        return _get_view(known)

    async def list_attempts(self, task_id: str) -> Sequence[AttemptView]:
        known = self._records.get((TASK, task_id))
        return (
            list_attempts(known.record)
            if known and isinstance(known.record, Task)
            else []
        )

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        found = [self._records.get((TASK, id_)) for id_ in ids]
        return [_get_view(known) if known else None for known in found]

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        known = self._list_newest(filter_, page, after, before)
        shown = known[: max(limit, 1)]
        tasks = tuple(map(_get_view, shown))
        more = len(known) > len(shown)
        return TaskPage(tasks, encode_token(shown[-1].number) if more else None)

    async def scan_tasks(
        self,
        filter_: Filter,
        needles: Sequence[Needle],
        accept: Callable[[TaskView], bool],
        *,
        limit: int = 100,
        max_searched: int = SCAN_STEP_TASKS,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> ScanStep:
        known = self._list_newest(filter_, page, after, before)
        tasks: list[TaskView] = []
        for searched, one in enumerate(known, 1):
            view = _get_view(one)
            if _has_needles(view, needles) and accept(view):
                tasks.append(view)
            if len(tasks) >= limit or searched >= max_searched:
                token = encode_token(one.number) if searched < len(known) else None
                return ScanStep(tuple(tasks), searched, token)
        return ScanStep(tuple(tasks), len(known))

    def _list_newest(
        self,
        filter_: Filter,
        page: str | None,
        after: float | None,
        before: float | None,
    ) -> list[StoredRecord]:
        """Return the matching tasks that arrived in the range, newest first."""
        last = decode_token(page) if page is not None else None
        found = (
            known
            for known, _ in self._iter_matching(filter_)
            if (last is None or known.number < last)
            and (after is None or float(known.first_seen_ms) >= after * 1000)
            and (before is None or float(known.first_seen_ms) < before * 1000)
        )
        return sorted(found, key=lambda known: known.number, reverse=True)

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        return len(self._list_newest(filter_, None, after, before))

    async def count_by_state(self) -> dict[str, int]:
        return dict(Counter(image.state for _, image in self._iter_matching(Filter())))

    async def list_workers(self, *, now: float) -> list[WorkerView]:
        known = [self._records[name] for name in sorted(self._list_keys(WORKER))]
        until = find_proven_until(await self.list_monitors(), now)
        return [
            make_worker_view(one.record.worker, now, one.public_rev, until)
            for one in known
            if isinstance(one.record, AnnouncedWorker)
        ]

    async def list_gaps(self) -> list[Gap]:
        known = [self._records[name] for name in self._list_keys(GAP)]
        gaps = [
            msgspec.structs.replace(one.record, rev=one.public_rev)
            for one in known
            if isinstance(one.record, Gap)
        ]
        return sorted(gaps, key=lambda gap: (gap.since, gap.id), reverse=True)

    async def list_monitors(self) -> list[MonitorView]:
        now = time.monotonic()
        return [image for until, image in self._monitors.values() if until > now]

    async def read_server_memory(self) -> list[ServerMemory]:
        return []

    async def list_queues(self) -> list[QueueView]:
        known = [self._records[name] for name in sorted(self._list_keys(QUEUE))]
        return [
            msgspec.structs.replace(one.record, rev=one.public_rev)
            for one in known
            if isinstance(one.record, QueueView)
        ]

    async def list_documents(self, kind: str) -> list[Document]:
        known = [self._records[name] for name in sorted(self._list_keys(kind))]
        return [
            msgspec.structs.replace(one.record, rev=one.public_rev)
            for one in known
            if isinstance(one.record, Document)
        ]

    async def list_groups(self, limit: int) -> list[tuple[str, float]]:
        newest: dict[str, StoredRecord] = {}
        for known, task in self._iter_matching(Filter()):
            if task.group_id:
                last = newest.setdefault(task.group_id, known)
                if known.number > last.number:
                    newest[task.group_id] = known
        found = sorted(newest, key=lambda name: newest[name].number, reverse=True)
        return [
            (name, float(newest[name].first_seen_ms) / 1000) for name in found[:limit]
        ]

    async def count_group_by_state(self, group_id: str) -> dict[str, int]:
        wanted = Filter(group=(group_id,))
        return dict(Counter(image.state for _, image in self._iter_matching(wanted)))

    async def find_registered(self, ids: Sequence[str]) -> set[str]:
        found = [self._records.get((TASK, id_)) for id_ in ids]
        records = [known.record for known in found if known]
        return {
            record.id
            for record in records
            if isinstance(record, Task) and is_group_registered(record.attributes)
        }

    async def list_queue_names(self, since: float) -> list[str]:
        tasks = (task for _, task in self._iter_matching(Filter()))
        return sorted({task.queue for task in tasks if task.queue})

    def _list_keys(self, kind: str) -> list[RecordKey]:
        return [name for name in self._records if name[0] == kind]

    def _iter_matching(
        self, filter_: Filter
    ) -> Iterable[tuple[StoredRecord, TaskView]]:
        for known in self._records.values():
            if isinstance(known.image, TaskView) and filter_.matches(known.image):
                yield known, known.image


def _has_needles(task: TaskView, needles: Sequence[Needle]) -> bool:
    fields = FIELDS_BY_PLACE[FULL_TEXT]
    texts = [task.id, *(getattr(task, name) or "" for name in fields)]
    text = "\0".join(texts).lower()
    return all(any(one in text for one in needle) for needle in needles)


def _get_view(known: StoredRecord) -> TaskView:
    assert isinstance(known.image, TaskView)
    return msgspec.structs.replace(known.image, rev=known.public_rev)
