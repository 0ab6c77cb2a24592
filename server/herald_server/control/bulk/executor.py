"""Carry out one bulk order, from its stored progress to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from herald_core.errors import HeraldError, StoreError
from herald_core.system.cancellation import cancel_tasks
from herald_server.control.bulk import progress as steps
from herald_server.control.bulk.journal import OrderJournal, OrderTakenOver
from herald_server.control.bulk.order import (
    CANCEL,
    FAILED,
    SENT,
    STOPPED,
    BulkOrder,
    Outcome,
)
from herald_server.control.bulk.pacing import RateLimiter, compute_chunk
from herald_server.control.bulk.progress import OrderProgress
from herald_server.control.bulk.work.cancelling import CANCEL_CHUNK, CancelWork
from herald_server.control.bulk.work.decisions import make_new_id
from herald_server.control.bulk.work.evidence import SendEvidence
from herald_server.control.bulk.work.retrying import RetryWork
from herald_server.control.bulk.work.sender import SendResult
from herald_server.control.start.publisher import TaskSpec

log = logging.getLogger(__name__)

GIVE_UP_S: Final = 600.0
"""Seconds for which an order that cannot go on is tried."""

RETRY_INTERVAL_S: Final = 2.0
"""Seconds between two attempts, if the broker or the store does not answer."""

SEARCH_INTERVAL_S: Final = 3.0
"""Seconds between two searches for unconfirmed tasks."""

MAX_SEARCHED: Final = 500
"""Doubtful tasks that one search looks for."""

IDLE_S: Final = 0.3
"""Seconds between two looks at the stop request while an order waits."""

Publish = Callable[[BulkOrder, OrderProgress], Awaitable[None]]


class OrderExecutor:
    """Carries out `order`, as long as `may_send` returns True.

    `owner` names this process. `publish` shows the progress to clients.
    """

    def __init__(
        self,
        order: BulkOrder,
        journal: OrderJournal,
        retrying: RetryWork,
        cancelling: CancelWork,
        owner: str,
        may_send: Callable[[], bool],
        publish: Publish,
    ) -> None:
        self._order = order
        self._journal = journal
        self._retrying = retrying
        self._cancelling = cancelling
        self._owner = owner
        self._may_send = may_send
        self._publish = publish
        self._progress = OrderProgress()
        self._rate = RateLimiter(order.per_second)
        self._search: asyncio.Task[SendEvidence] | None = None
        self._searched_at = float("-inf")

    async def run(self) -> OrderProgress:
        """Carry out the order, and return its end.

        Raises `OrderTakenOver`, `StoreError`.
        """
        stored = await self._journal.read_progress(self._order.id)
        mine = msgspec.structs.replace(stored, owner=self._owner)
        await self._store(steps.take_over(mine, time.time()))
        try:
            while not self._progress.is_over:
                await self._run_step()
        finally:
            if self._search is not None:
                await cancel_tasks(self._search)
        await self._journal.close(self._order, self._progress)
        return self._progress

    async def _run_step(self) -> None:
        """Do one piece of the work, and store what came of it."""
        if not self._may_send():
            raise OrderTakenOver("this process may not carry out orders any more")
        if await self._journal.read_stop(self._order.id) is not None:
            await self._end(STOPPED)
            return
        if self._progress.unconfirmed:
            await self._search_unconfirmed()
        try:
            await self._run_chunk()
        except StoreError:
            raise
        except HeraldError as error:
            await self._wait_out(str(error))
        if not self._progress.is_over:
            await self._store(steps.end_if_done(self._progress, self._order.count))

    async def _run_chunk(self) -> None:
        wait = self._rate.compute_wait(time.monotonic())
        if wait > 0 or not steps.has_work(self._progress, self._order.count):
            idle = wait if 0 < wait < IDLE_S else IDLE_S
            if self._progress.handled < self._order.count:
                await asyncio.sleep(idle)
            return
        if self._order.action == CANCEL:
            await self._cancel_chunk()
        else:
            await self._retry_chunk()

    async def _cancel_chunk(self) -> None:
        began = await self._begin(CANCEL_CHUNK)
        began_at = time.monotonic()
        outcomes = await self._cancelling.cancel(began.in_flight)
        self._rate.record(len(outcomes), began_at)
        done = steps.finish(began, outcomes, (), time.time())
        await self._store(steps.set_problem(done, "", time.time()))

    async def _retry_chunk(self) -> None:
        async with self._retrying.lock:
            began = await self._begin(compute_chunk(self._order.per_second))
            specs, outcomes = await self._retrying.prepare(self._order, began.in_flight)
            counted = steps.count(began, outcomes)
            # Stored before anything is sent: what is in flight may have been.
            await self._store(msgspec.structs.replace(counted, in_flight=(*specs,)))
            if not specs:
                return
            await self._journal.require_open(self._order.id)
            began_at = time.monotonic()
            sent = await self._send(specs)
        self._rate.record(len(sent.outcomes), began_at)
        done = steps.finish(self._progress, sent.outcomes, sent.untouched, time.time())
        await self._store(steps.set_problem(done, sent.problem, time.time()))
        if sent.problem:
            await self._wait_out(sent.problem)

    async def _send(self, specs: Mapping[str, TaskSpec]) -> SendResult:
        try:
            return await self._retrying.send(specs, self._may_send)
        except StoreError:
            raise
        except HeraldError:
            # Nothing was sent.
            await self._store(
                steps.finish(self._progress, {}, specs.keys(), time.time())
            )
            raise

    async def _begin(self, limit: int) -> OrderProgress:
        size = compute_chunk(self._order.per_second, limit)
        fresh = await self._journal.read_ids(self._order, self._progress.cursor, size)
        if not fresh and self._progress.cursor < self._order.count:
            raise StoreError(f"the tasks of the order {self._order.id} are gone")
        return steps.begin(self._progress, fresh, size)

    # -- unconfirmed tasks ----------------------------------------------------------

    async def _search_unconfirmed(self) -> None:
        """Use the evidence that was found, or look for it, while the work goes on."""
        if self._search is None:
            if time.monotonic() >= self._searched_at + SEARCH_INTERVAL_S:
                ids = self._progress.unconfirmed[:MAX_SEARCHED]
                self._search = asyncio.create_task(self._find_evidence(ids))
            return
        if not self._search.done():
            return
        search, self._search = self._search, None
        self._searched_at = time.monotonic()
        await self._apply(search.result())

    async def _find_evidence(self, ids: Sequence[str]) -> SendEvidence:
        since = self._progress.sent_since
        return await self._retrying.find_evidence(self._order, ids, since)

    async def _apply(self, found: SendEvidence) -> None:
        outcomes = {
            id_: Outcome(SENT, new_id=make_new_id(self._order.id, id_))
            for id_ in found.sent
        }
        now = time.time()
        known = steps.resolve(self._progress, outcomes, found.not_sent)
        await self._store(steps.end_unconfirmed(known, self._name_unconfirmed(), now))

    def _name_unconfirmed(self) -> dict[str, str]:
        ids = self._progress.unconfirmed
        return {id_: make_new_id(self._order.id, id_) for id_ in ids}

    # -- ends ------------------------------------------------------------------------

    async def _wait_out(self, problem: str) -> None:
        """Store why the order does not go on, and wait; end it after `GIVE_UP_S`."""
        now = time.time()
        kept = steps.set_problem(self._progress, problem, now)
        if now - kept.problem_since > GIVE_UP_S:
            await self._store(kept)
            await self._end(FAILED)
            return
        await self._store(kept)
        await asyncio.sleep(RETRY_INTERVAL_S)

    async def _end(self, state: str) -> None:
        """End the order; unconfirmed tasks are looked for once more."""
        if self._progress.unconfirmed:
            await self._apply(
                await self._find_evidence(self._progress.unconfirmed[:MAX_SEARCHED])
            )
        ended = steps.abandon_unconfirmed(self._progress, self._name_unconfirmed())
        await self._store(msgspec.structs.replace(ended, state=state))

    async def _store(self, progress: OrderProgress) -> None:
        """Store `progress` and show it, if it is new."""
        if progress == self._progress:
            return
        now = msgspec.structs.replace(progress, updated_at=time.time())
        self._progress = await self._journal.store_progress(self._order.id, now)
        await self._publish(self._order, self._progress)
