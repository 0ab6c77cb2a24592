"""Tasks by their ids, and pages and counts of the tasks of a filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from herald_core.model.changes import TASK
from herald_core.model.filters import Filter
from herald_core.model.queries.needles import Needle
from herald_core.model.tasks.attributes import is_group_registered
from herald_core.model.tasks.projection import list_attempts
from herald_core.model.tasks.views import EXPIRED, UNKNOWN, AttemptView, TaskView
from herald_core.store.page_tokens import PagePosition, decode_token, encode_token
from herald_core.store.ports import SCAN_STEP_TASKS
from herald_core.store.redis.bitmaps import CHUNK_BITS, iter_set_bits
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.encoding.stored_records import (
    decode_task,
    decode_view,
    decode_view_with_header,
)
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.query.headers import find_id_masks, read_headers
from herald_core.store.redis.query.index_scan import (
    IndexScan,
    TimeRange,
    make_time_range,
)
from herald_core.store.redis.query.number_reader import read_ids
from herald_core.store.redis.query.predicates import make_predicates
from herald_core.store.redis.query.task_scanner import TaskScanner
from herald_core.store.redis.record_reader import READ_BATCH, RecordReader
from herald_core.store.types import ScanStep, TaskPage
from herald_core.system.cooperative_work import TimeSlices

MAX_PAGE_COMMANDS = 4_000
"""Commands that one page sends to find tasks; then it is handed out as it is."""

MAX_PAGE_CHARS = 2_000_000
"""Characters of tasks after which a page ends, however few are on it."""

MIN_TASK_CHARS = 500
"""Characters of a task without any texts."""

MAX_EXACT_TASKS = 1_000
"""Tasks that one page looks at, 25 µs each; then it is handed out as it is."""


class RedisTaskReader(RecordReader):
    """Reads tasks."""

    def __init__(self, client: RedisClient, keys: RedisKeys) -> None:
        super().__init__(client, keys)
        self._scanner = TaskScanner(client, keys)

    async def get_task(self, task_id: str) -> TaskView:
        keys = self._keys
        stored, expired = await self._client.execute_many(
            [
                ("GET", keys.make_record(TASK, task_id)),
                ("ZSCORE", keys.expired_ids, task_id),
            ],
            atomic=True,
        )
        if stored is not None:
            return decode_view(stored)
        return TaskView(id=task_id, state=UNKNOWN if expired is None else EXPIRED)

    async def list_attempts(self, task_id: str) -> Sequence[AttemptView]:
        key = self._keys.make_record(TASK, task_id)
        stored = await self._client.execute("GET", key)
        return [] if stored is None else list_attempts(decode_task(stored))

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        tasks: list[TaskView | None] = []
        slices = TimeSlices()
        for from_ in range(0, len(ids), READ_BATCH):
            for one in await self._read_stored(TASK, ids[from_ : from_ + READ_BATCH]):
                tasks.append(decode_view(one) if one else None)
                await slices.yield_if_due()
        return tasks

    async def find_registered(self, ids: Sequence[str]) -> set[str]:
        stored = await self._read_stored(TASK, ids)
        tasks = [decode_task(one) for one in stored if one is not None]
        return {task.id for task in tasks if is_group_registered(task.attributes)}

    # -- of a filter ---------------------------------------------------------------

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        last = decode_token(page) if page is not None else None
        range_ = make_time_range(after, before)
        predicates = await make_predicates(self._client, self._keys, filter_)
        scan = IndexScan(self._client, self._keys, predicates, range_, last)
        return await self._fill_page(filter_, scan, range_, max(limit, 1))

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
        last = decode_token(page) if page is not None else None
        range_ = make_time_range(after, before)
        predicates = await make_predicates(self._client, self._keys, filter_)
        return await self._scanner.scan(
            IndexScan(self._client, self._keys, predicates, range_, last),
            filter_,
            range_,
            needles,
            accept,
            max(limit, 1),
            max_searched,
        )

    async def _fill_page(
        self, filter_: Filter, scan: IndexScan, range_: TimeRange, limit: int
    ) -> TaskPage:
        tasks: list[TaskView] = []
        checked, size, last = 0, 0, None
        async for chunk, mask in scan.iter_masks():
            places = list(iter_set_bits(mask))
            while places:
                room = min(limit - len(tasks), READ_BATCH)
                part, places = places[:room], places[room:]
                numbers = [chunk * CHUNK_BITS + place for place in part]
                read, chars = await self._read_numbered(numbers, range_)
                tasks += [task for task in read if filter_.matches(task)]
                checked, size, last = checked + len(part), size + chars, numbers[-1]
                is_large = checked >= MAX_EXACT_TASKS or size >= MAX_PAGE_CHARS
                if len(tasks) == limit or is_large:
                    return TaskPage(tuple(tasks), encode_token(last))
            last = chunk * CHUNK_BITS
            if scan.commands >= MAX_PAGE_COMMANDS:
                return TaskPage(tuple(tasks), encode_token(last))
        return TaskPage(tuple(tasks))

    async def _read_numbered(
        self, numbers: Sequence[int], range_: TimeRange
    ) -> tuple[list[TaskView], int]:
        """Return the stored tasks of `numbers` that lie in `range_`.

        The second value is the size of the data read, in characters.
        """
        ids = await read_ids(self._client, self._keys, numbers)
        tasks: list[TaskView] = []
        size, slices = 0, TimeSlices()
        stored = await self._read_stored(TASK, [id_ for _, id_ in ids])
        for (number, _), one in zip(ids, stored, strict=True):
            if one is not None:
                head, task = decode_view_with_header(one)
                size += _count_chars(task)
                # The number differs: the task was deleted and arrived again.
                if head.number == number and range_.contains(float(head.first_seen_ms)):
                    tasks.append(task)
                await slices.yield_if_due()
        return tasks, size

    async def find_positions(self, ids: Sequence[str]) -> list[PagePosition]:
        """Return the places in pages of those of `ids` that are stored."""
        headers = await read_headers(self._client, self._keys, ids)
        return [
            PagePosition(id_, header.number, float(header.first_seen_ms))
            for id_, header in headers.items()
        ]

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        predicates = await make_predicates(self._client, self._keys, filter_)
        roots = next((one for one in predicates if one.key == "root"), None)
        if roots is not None:
            roots.fixed = await self._find_root_masks(filter_.root or ())
        count = 0
        async for _, mask in IndexScan(
            self._client, self._keys, predicates, make_time_range(after, before)
        ).iter_masks():
            count += mask.bit_count()
            if count > limit:
                break
        return count

    async def _find_root_masks(self, ids: Sequence[str]) -> dict[int, int]:
        """Return the masks of those of `ids` that are roots themselves, by chunk."""
        tasks = [task for task in await self.get_tasks(ids) if task]
        roots = [task.id for task in tasks if (task.root_id or task.id) == task.id]
        return await find_id_masks(self._client, self._keys, roots)


def _count_chars(task: TaskView) -> int:
    """Return about how many characters `task` is."""
    texts = (task.args, task.kwargs, task.result, task.exception, task.traceback)
    return MIN_TASK_CHARS + sum([len(text) for text in texts if text])
