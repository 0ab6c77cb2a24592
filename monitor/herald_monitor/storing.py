"""Storing whatever it takes, and setting aside what the store refuses for good."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from herald_monitor.errors import HeraldError, StoreError, StoreUnreachable
from herald_monitor.model.cursor import START
from herald_monitor.model.workers import Worker
from herald_monitor.store import Receipt
from herald_monitor.unread import Told

log = logging.getLogger(__name__)

Item: TypeAlias = Told | Worker
Refuse: TypeAlias = Callable[[Item, str], None]
"""Told of what the store refuses though it takes everything else, and why."""

Some = TypeVar("Some", bound=Told)
Some_contra = TypeVar("Some_contra", bound=Told, contravariant=True)

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

TRIES = 3
"""Refusals of a batch, one after another, before it is searched for the culprit."""

AGAIN = 2
"""Refusals of what stands alone before it is set aside."""

CANARY = "quarantine"
"""What is leased, for a second, to see whether the store takes writes at all."""


class Refused(HeraldError):
    """The store takes writes, but not this one."""


class Takes(Protocol[Some_contra]):
    """The part of an `EventWriter` that is needed here, for whatever it can take."""

    async def store(
        self,
        events: Sequence[Some_contra],
        workers: Sequence[Worker] = (),
        *,
        now: float,
    ) -> Receipt:
        """Store them. Raises `StoreError`."""
        ...

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        """Take the right of `owner` to do `work`."""
        ...


class Storing(Generic[Some]):
    """Stores events in `writer`, in order, for a monitor called `node`.

    A store that is away, full or a replica is waited for. If it takes writes and
    still refuses a batch, the batch is split until what it refuses stands alone;
    that is told to `refuse`, and everything else is stored.
    """

    def __init__(self, writer: Takes[Some], node: str, refuse: Refuse) -> None:
        self._writer = writer
        self._node = node
        self._refuse = refuse
        self.retries = 0
        self.problem = ""

    async def store(
        self, events: Sequence[Some], workers: Sequence[Worker] = ()
    ) -> Receipt:
        """Return once all is stored or set aside, however long that takes."""
        try:
            return await self._insist(events, workers, TRIES)
        except Refused as error:
            return await self._search([*workers, *events], error)

    async def _search(self, items: list[Some | Worker], error: Refused) -> Receipt:
        """Store all of `items` but those that are refused even alone."""
        if len(items) == 1:
            self._refuse(items[0], str(error))
            return Receipt(START)
        middle = len(items) // 2
        parts = (items[:middle], items[middle:])
        return together([await self._part(part) for part in parts])

    async def _part(self, items: list[Some | Worker]) -> Receipt:
        try:
            events = [item for item in items if not isinstance(item, Worker)]
            workers = [item for item in items if isinstance(item, Worker)]
            tries = AGAIN if len(items) == 1 else 1
            return await self._insist(events, workers, tries)
        except Refused as error:
            return await self._search(items, error)

    async def _insist(
        self, events: Sequence[Some], workers: Sequence[Worker], tries: int
    ) -> Receipt:
        """Store them. Raises `Refused` after some refusals of a sound store."""
        pause, refusals = FIRST_PAUSE, 0
        while True:
            try:
                receipt = await self._writer.store(events, workers, now=time.time())
            except StoreUnreachable as error:
                self._note(error)
            except Exception as error:  # a mistake of ours is a refusal as well
                self._note(error)
                refusals += 1
                if refusals >= tries and await self._takes_writes():
                    raise Refused(_reason(error)) from error
            else:
                self._all_well()
                return receipt
            self.retries += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _takes_writes(self) -> bool:
        try:
            return await self._writer.lease(f"{CANARY}-{self._node}", self._node, 1.0)
        except StoreError:
            return False

    def _note(self, error: Exception) -> None:
        if not self.problem:
            log.warning("%s; events wait in memory", _reason(error))
        self.problem = _reason(error)

    def _all_well(self) -> None:
        if self.problem:
            log.info("The store takes events again.")
        self.problem = ""


def together(receipts: Sequence[Receipt]) -> Receipt:
    """Return the receipts of several parts, that were not none, as one."""
    ends = [receipt.cursor for receipt in receipts]
    end = ends[0]
    for other in ends[1:]:
        end = max(end, other)
    return Receipt(end, sum(receipt.changes for receipt in receipts))


def sample_of(item: Item) -> str:
    """Name an event or a worker without what may be private in it."""
    if isinstance(item, Worker):
        return f"worker {item.hostname}"
    return f"{item.kind} of task {item.task_id} from {item.source}"


def _reason(error: Exception) -> str:
    if isinstance(error, HeraldError):
        return str(error)
    return f"storing failed unexpectedly ({type(error).__name__}: {error})"
