"""A writer that retries until events are stored, and quarantines refused ones."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from herald_core.errors import (
    EventDecodeError,
    HeraldError,
    StoreError,
    StoreUnreachable,
    StoreUnwritable,
)
from herald_core.model.cursor import START
from herald_core.model.workers.worker_record import Worker
from herald_core.store.types import WriteResult
from herald_core.system.backoff import Backoff
from herald_monitor.ingest.consumers.event_header import TaskEvent

log = logging.getLogger(__name__)

RejectedItem: TypeAlias = TaskEvent | Worker
OnRejected: TypeAlias = Callable[[RejectedItem, str], None]
"""Called with each item that the store refuses while it accepts others, and the
reason."""

EventT = TypeVar("EventT", bound=TaskEvent)
EventT_contra = TypeVar("EventT_contra", bound=TaskEvent, contravariant=True)

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 1.0

MAX_TRIES = 3
"""Refusals of a batch, one after another, before it is searched for the culprit."""

SINGLE_TRIES = 2
"""Refusals of what stands alone before it is set aside."""

PROBE_LEASE = "quarantine"
"""The lease that is taken, for a second, to check if the store accepts writes at
all."""


class WriteRejected(HeraldError):
    """The store takes writes, but not this one."""


class SupportsStore(Protocol[EventT_contra]):
    """The part of an `EventWriter` that is needed here, for whatever it can take."""

    async def store(
        self,
        events: Sequence[EventT_contra],
        workers: Sequence[Worker] = (),
        *,
        now: float,
    ) -> WriteResult:
        """Store them. Raises `StoreError`."""
        ...

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        """Take the right of `owner` to do `work`."""
        ...


class RetryingWriter(Generic[EventT]):
    """Stores events in `writer`, in order, for a monitor called `node`.

    A store that is unreachable, full or a replica is retried. If it accepts writes and
    still refuses a batch, the batch is split until the refused item is alone. That item
    is passed to `refuse`, and all others are stored.
    """

    def __init__(
        self, writer: SupportsStore[EventT], node: str, refuse: OnRejected
    ) -> None:
        self._writer = writer
        self._node = node
        self._on_rejected = refuse
        self.retries = 0
        self.problem = ""

    async def store(
        self, events: Sequence[EventT], workers: Sequence[Worker] = ()
    ) -> WriteResult:
        """Return once all events are stored or quarantined, however long that takes.

        Raises `EventDecodeError` if headers must be decoded first.
        """
        try:
            return await self._retry(events, workers, MAX_TRIES)
        except WriteRejected as error:
            return await self._isolate_rejected([*workers, *events], error)

    async def _isolate_rejected(
        self, items: list[EventT | Worker], error: WriteRejected
    ) -> WriteResult:
        """Store all of `items` but those that are refused even alone."""
        if len(items) == 1:
            self._on_rejected(items[0], str(error))
            return WriteResult(START)
        middle = len(items) // 2
        parts = (items[:middle], items[middle:])
        return merge_results([await self._store_part(part) for part in parts])

    async def _store_part(self, items: list[EventT | Worker]) -> WriteResult:
        try:
            events = [item for item in items if not isinstance(item, Worker)]
            workers = [item for item in items if isinstance(item, Worker)]
            tries = SINGLE_TRIES if len(items) == 1 else 1
            return await self._retry(events, workers, tries)
        except WriteRejected as error:
            return await self._isolate_rejected(items, error)

    async def _retry(
        self, events: Sequence[EventT], workers: Sequence[Worker], tries: int
    ) -> WriteResult:
        """Store them. Raises `WriteRejected` after some refusals of a sound store."""
        backoff, refusals = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S), 0
        while True:
            try:
                receipt = await self._writer.store(events, workers, now=time.time())
            except EventDecodeError:
                raise
            except (StoreUnreachable, StoreUnwritable) as error:
                # At its limit of memory it takes one small write and refuses the next.
                self._log_error(error)
            except Exception as error:  # a mistake of ours is a refusal as well
                self._log_error(error)
                refusals += 1
                if refusals >= tries and await self._is_writable():
                    raise WriteRejected(_describe_error(error)) from error
            else:
                if self.problem:
                    log.info("The store takes events again.")
                    self.problem = ""
                return receipt
            self.retries += 1
            await asyncio.sleep(backoff.next_pause())

    async def _is_writable(self) -> bool:
        try:
            return await self._writer.acquire_lease(
                f"{PROBE_LEASE}-{self._node}", self._node, 1.0
            )
        except StoreError:
            return False

    def _log_error(self, error: Exception) -> None:
        if not self.problem:
            log.warning("%s; events wait in memory", _describe_error(error))
        self.problem = _describe_error(error)


def merge_results(receipts: Sequence[WriteResult]) -> WriteResult:
    """Return the receipts of several parts, that were not none, as one."""
    ends = [receipt.cursor for receipt in receipts]
    end = ends[0]
    for other in ends[1:]:
        end = max(end, other)
    return WriteResult(end, sum(receipt.changes for receipt in receipts))


def describe_item(item: RejectedItem) -> str:
    """Return a description of an event or a worker without private data."""
    if isinstance(item, Worker):
        return f"worker {item.hostname}"
    return f"{item.kind} of task {item.task_id} from {item.source}"


def _describe_error(error: Exception) -> str:
    if isinstance(error, HeraldError):
        return str(error)
    return f"storing failed unexpectedly ({type(error).__name__}: {error})"
