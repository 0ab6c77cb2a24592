"""Export spans and metrics from one server process at a time: the lease holder.

Spans follow the change log from a cursor in the store, which moves on once a collector
has accepted them. So a restart, or another server, goes on where the last one was; what
was accepted and not yet noted is exported again, with the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client.core import Metric as Family

from herald_core.errors import StoreError
from herald_core.model.changes import TASK, Change
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import FINAL_STATES, LOST, TaskView
from herald_core.model.vector_cursor import parse_any_cursor
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_core.system.backoff import Backoff
from herald_server.push.log.hub import Hub
from herald_server.push.log.tail import LogPosition, LogTail
from herald_server.telemetry.metric_data import make_metrics_data
from herald_server.telemetry.spans import RESOURCE, SpanMaker, make_single_attempt

log = logging.getLogger(__name__)

LEASE_NAME = "telemetry"
ITEM_KIND = "telemetry"
CURSOR = "cursor"
STARTED = "started"
GROUP_KIND = "telemetry-groups"
ITEM_TTL_S = 30 * 86_400.0
GROUP_TTL_S = 86_400.0
CHECK_INTERVAL_S = 1.0
SAVE_INTERVAL_S = 10.0
"""Seconds after which the position is stored although nothing was exported."""

BATCH_ENTRIES = 50
MAX_GROUP_MEMBERS = 500
"""Members of a group whose span is exported; of a larger one none is."""

TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0

ReadFamilies = Callable[[], Awaitable[Sequence[Family]]]


class TelemetryExporter:
    """Exports to the collector at `endpoint`, such as `http://localhost:4318`."""

    def __init__(
        self,
        endpoint: str,
        interval: float,
        store: Store,
        hub: Hub,
        read_families: ReadFamilies,
        owner: str,
    ) -> None:
        base = endpoint.rstrip("/")
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=TIMEOUT_S)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", timeout=TIMEOUT_S)
        self._interval = interval
        self._store = store
        self._hub = hub
        self._read_families = read_families
        self._lease = Lease(store, LEASE_NAME, owner)
        self._resource: Resource = RESOURCE.merge(OTELResourceDetector().detect())
        self._maker = SpanMaker(self._resource)

    async def run(self) -> None:
        """Export until cancelled."""
        async with self._lease, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_safely(self._follow_log))
            tasks.create_task(self._run_safely(self._export_metrics))

    async def _run_safely(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                if self._lease.is_held:
                    await work()
            except StoreError as error:
                log.debug("telemetry is exported later: %s", error)
            except Exception:  # or none would be exported any more
                log.exception("telemetry is exported later")
            await asyncio.sleep(CHECK_INTERVAL_S)

    # -- spans -----------------------------------------------------------------------

    async def _follow_log(self) -> None:
        """Export from the stored cursor on, while this process holds the lease."""
        at, saved_at = LogPosition(await self._read_cursor()), time.monotonic()
        with LogTail(self._hub, self._store, at, BATCH_ENTRIES) as tail:
            while self._lease.is_held:
                part = await tail.read()
                if part is None or not self._lease.is_held:
                    return
                if part.lost:
                    log.warning("spans are missing: %s", part.lost)
                    tail.seek(LogPosition(await self._store.read_end()))
                else:
                    spans = await self._make_spans([c for c, _ in part.changes])
                    await self._export_spans(spans)
                    if not spans and time.monotonic() < saved_at + SAVE_INTERVAL_S:
                        continue
                await self._put(CURSOR, str(tail.at.cursor))
                saved_at = time.monotonic()

    async def _read_cursor(self) -> Any:
        stored = await self._store.get_item(ITEM_KIND, CURSOR)
        if stored is not None:
            return parse_any_cursor(stored.decode())
        end = await self._store.read_end()
        await self._put(CURSOR, str(end))
        return end

    async def _make_spans(self, changes: Sequence[Change]) -> list[ReadableSpan]:
        spans: list[ReadableSpan] = []
        groups: set[str] = set()
        for change in changes:
            if change.kind != TASK or change.is_deletion or change.task is None:
                continue
            task, known = change.task, find_known_attempt(change)
            if known is None:
                continue
            spans += self._maker.make_task_spans(
                task, await self._list_attempts(task), known
            )
            groups |= {task.group_id} if task.group_id else set()
        for group_id in groups:
            span = await self._make_group_span(group_id)
            spans += [span] if span is not None else []
        return spans

    async def _list_attempts(self, task: TaskView) -> Sequence[Any]:
        if (task.attempt or 1) == 1:
            return [make_single_attempt(task)]
        return await self._store.list_attempts(task.id)

    async def _make_group_span(self, group_id: str) -> ReadableSpan | None:
        """Return the span of a group that has ended and was not exported before."""
        counts = await self._store.count_group_by_state(group_id)
        if not counts.keys() <= FINAL_STATES | {LOST}:
            return None
        filter_ = Filter(group=(group_id,))
        page = await self._store.list_tasks(filter_, limit=MAX_GROUP_MEMBERS)
        is_new = page.next is None and await self._store.put_item(
            GROUP_KIND, group_id, b"1", GROUP_TTL_S, new=True
        )
        return self._maker.make_group_span(group_id, page.tasks) if is_new else None

    async def _export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Export `spans`; try again until a collector accepts them."""
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while spans and self._lease.is_held:
            result = await asyncio.to_thread(self._spans.export, spans)
            if result is SpanExportResult.SUCCESS:
                return
            log.warning("the collector accepted no spans; they are sent again")
            await asyncio.sleep(backoff.next_pause())

    # -- metrics -----------------------------------------------------------------------

    async def _export_metrics(self) -> None:
        """Export the metrics of the store once, and wait for the next time."""
        started_ns = await self._read_start()
        families = await self._read_families()
        data = make_metrics_data(families, self._resource, started_ns, time.time_ns())
        export: Callable[[Any], MetricExportResult] = cast(Any, self._metrics).export
        result = await asyncio.to_thread(export, data)
        if result is not MetricExportResult.SUCCESS:
            log.warning("the collector accepted no metrics")
        await asyncio.sleep(self._interval)

    async def _read_start(self) -> int:
        """Return since when counters count, the same for all servers."""
        stored = await self._store.get_item(ITEM_KIND, STARTED)
        started_ns = int(stored) if stored else time.time_ns()
        await self._put(STARTED, str(started_ns))
        return started_ns

    async def _put(self, id_: str, text: str) -> None:
        await self._store.put_item(ITEM_KIND, id_, text.encode(), ITEM_TTL_S)


def find_known_attempt(change: Change) -> int | None:
    """Return the attempt up to which a task was exported before (0: none); None if
    `change` ends no attempt. Pure."""
    task, before = change.task, change.before
    if task is None or task.state not in FINAL_STATES:
        return None
    if before is None or before.state not in FINAL_STATES:
        return 0
    if before.attempt is None:
        return None  # the same end, known better
    return before.attempt
