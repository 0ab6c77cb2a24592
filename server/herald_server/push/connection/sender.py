"""Send the frames of one connection: directly if it does not block, else in a task.

Usually a flush writes a few frames without blocking. If something must be read first,
or the client is slow, a task does it, and the hub keeps further changes meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from contextvars import copy_context
from functools import lru_cache

import msgspec

from herald_core.errors import StoreError
from herald_core.model.tasks.views import from_rfc3339
from herald_server.auth.quotas import close_codes
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.push.connection.scheduler import FlushScheduler
from herald_server.push.connection.transport import Transport, TransportClosed
from herald_server.push.session.session import HEARTBEAT_S, Session
from herald_server.push.session.snapshots import SnapshotReader
from herald_server.push.session.subscription import ReadRequest

MAX_STALLED_CHANGES = 1_000
"""Changes of one subscription kept for a client that reads nothing."""

MAX_HELD_BYTES = 512 * 1024
"""Bytes that the subscriptions of a connection hold until all are read."""

STALL_AFTER_S = 1.0
"""Seconds without reading after which other connections read their snapshots."""

BLOCKED_RETRY_S = 0.05
"""Seconds between checks whether clients of the token read their pending data."""

READ_RETRY_RANGE_S = (0.3, 1.0)
"""Seconds after which a store that did not answer is read again."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Timeouts of clients, in seconds."""

    auth: float = 10.0
    send: float = 30.0
    stall: float = 5.0
    """Seconds beyond which few changes are kept for a client that reads nothing."""
    heartbeat: float = HEARTBEAT_S

    @property
    def check_interval(self) -> float:
        """Seconds between two checks of the deadlines."""
        return min(self.send / 6, self.heartbeat / 3)


@lru_cache(maxsize=1_024)
def _parse_time(at: str) -> float:
    """Return unix seconds; many connections are told of the same change."""
    return from_rfc3339(at)


class ConnectionSender:
    """Sends the frames of a session; `stop` is called when the connection has ended.

    `session` makes the session, given its wake callback.
    """

    __slots__ = (
        "_context",
        "_is_ended",
        "_is_more_due",
        "_is_scheduled",
        "_metrics",
        "_scheduler",
        "_sending_since",
        "_snapshots",
        "_stop",
        "_task",
        "_timeouts",
        "_transport",
        "answered",
        "failure",
        "session",
        "single",
    )

    def __init__(
        self,
        line: Transport,
        library: SnapshotReader,
        rounds: FlushScheduler,
        tally: PushMetrics,
        patience: Timeouts,
        stop: Callable[[], None],
        session: Callable[[Callable[[], None]], Session],
    ) -> None:
        self._transport = line
        self._snapshots = library
        self._scheduler = rounds
        self._metrics = tally
        self._timeouts = patience
        self._stop = stop
        self._context = copy_context()
        self._is_scheduled = False
        """Whether a flush of it is scheduled."""
        self._is_more_due = False
        """Whether more became due while it talked."""
        self._is_ended = False
        self._task: asyncio.Task[None] | None = None
        self._sending_since: float | None = None
        self.answered: asyncio.Event | None = None
        """Set each time when answers were sent, where anybody waits for that."""
        self.failure: BaseException | None = None
        self.session = session(self.wake)
        self.single = False
        """Whether the connection ends with its one subscription."""

    def begin(self) -> None:
        """Register with the scheduler."""
        self._scheduler.add(self, self._timeouts.check_interval)
        self.wake()

    async def end(self) -> None:
        """Stop sending."""
        self._is_ended = True
        self._scheduler.remove(self)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._transport.hold(0)

    def wake(self) -> None:
        """Schedule a flush."""
        if self._is_scheduled or self._is_ended:
            return
        self._is_scheduled = True
        if self.session.is_urgent:
            self._scheduler.schedule(self)
        else:
            self._scheduler.schedule_changes(self)

    # -- flush ---------------------------------------------------------------------

    def flush(self, now: float, data: bool) -> None:
        """Send what does not block; leave the rest to a task."""
        self._is_scheduled = not data
        session = self.session
        if self._is_ended or not (data or session.is_urgent):
            return
        if self._task is not None:
            self._is_more_due = self._is_more_due or data
            return
        if data and session.subscriptions.is_blocked(now):
            asyncio.get_running_loop().call_later(BLOCKED_RETRY_S, self.wake)
            return
        rest: list[bytes] = []
        if not session.read_requests and not session.closing:
            try:
                rest = self._send_direct(now, data)
            except TransportClosed:
                self._finish()
                return
        if rest or session.read_requests or session.closing:
            if rest:
                # Counted before the next connection is flushed.
                self._transport.hold(sum(map(len, rest)))
            # Not in the context of the connection that started the round.
            talking = asyncio.create_task(
                self._send_blocking(rest), context=self._context
            )
            self._task = talking

    def _send_direct(self, now: float, data: bool) -> list[bytes]:
        """Send what the transport accepts at once; return the rest."""
        session = self.session
        out = session.take_control_frames()
        if data:
            out += session.take_data_frames(now)
            if self.single and session.is_idle:
                session.close(close_codes.NORMAL, "done")
        for number, frame in enumerate(out):
            if not self._transport.try_send(frame):
                return out[number:]
            self._count(frame)
        if session.changed_at is not None:
            self._record_push()
        self._notify_answered()
        return []

    def _record_push(self) -> None:
        """Record the age of the change that was just sent."""
        at = self.session.changed_at
        if at is not None:
            self.session.changed_at = None
            self._metrics.pushes.record(time.time() - _parse_time(at), time.monotonic())

    def _count(self, frame: bytes) -> None:
        self._metrics.frames += 1
        self._metrics.bytes += len(frame)

    def _notify_answered(self) -> None:
        if self.answered is not None:
            self.answered.set()

    # -- reads and waits -----------------------------------------------------------

    async def _send_blocking(self, rest: list[bytes]) -> None:
        try:
            await self._send(rest)
            self._record_push()
            await self._send_until_idle()
        except TransportClosed:
            self._finish()
        except Exception as error:
            self.failure = error
            self._finish()
        finally:
            self._task = None
        if self._is_more_due:
            self._is_more_due = False
            self.wake()

    async def _send_until_idle(self) -> None:
        """Read and send until there is nothing to wait for."""
        session = self.session
        while True:
            await self._send_answers()
            await self._read()
            if session.closing:
                await self._send_answers()
                await self.close(*session.closing)
                return
            self._is_more_due = False
            await self._send_data()
            if self.single and session.is_idle:
                session.close(close_codes.NORMAL, "done")
            elif not session.read_requests:
                return

    async def _read(self) -> None:
        session = self.session
        while session.read_requests and not self._close_if_asked():
            read = session.read_requests.pop(0)
            if not session.is_current(read):
                continue
            try:
                async with aclosing(self._snapshots.fulfil(session, read)) as steps:
                    async for _ in steps:
                        await self._send_all()
                        if self._close_if_asked():
                            return
            except StoreError:
                # `status` reports it; subscribers need not do anything.
                self._read_again_later(read)
            await self._send_all()

    async def _send_all(self) -> None:
        """Send answers; send data before all was read, if it is much.

        Only the last frame has a cursor.
        """
        await self._send_answers()
        if self.session.subscriptions.held_bytes > MAX_HELD_BYTES:
            await self._send_data()

    async def _send_data(self) -> None:
        # There is no event when a client has read something.
        while self.session.subscriptions.is_blocked(now := time.monotonic()):  # noqa: ASYNC110
            await asyncio.sleep(BLOCKED_RETRY_S)
        await self._send(self.session.take_data_frames(now))
        self._record_push()

    def _read_again_later(self, read: ReadRequest) -> None:
        loop = asyncio.get_running_loop()
        pause = random.uniform(*READ_RETRY_RANGE_S)
        loop.call_later(pause, self._read_again, read, context=self._context)

    def _read_again(self, read: ReadRequest) -> None:
        if not self._is_ended and self.session.is_current(read):
            self.session.retry(read)

    def _close_if_asked(self) -> bool:
        return self.session.closing is not None

    async def _send_answers(self) -> None:
        await self._send(self.session.take_control_frames())
        self._notify_answered()

    async def _send(self, out: list[bytes]) -> None:
        # An awaited library may have swallowed a cancellation.
        if self._is_ended:
            raise TransportClosed
        if not out:
            return
        left = sum(map(len, out)) + self.session.subscriptions.held_bytes
        # The last first, so that sent frames are released.
        out.reverse()
        self.session.subscriptions.stall()
        try:
            while out:
                self._transport.hold(left)
                self._sending_since = time.monotonic()
                left -= await self._send_one(out.pop())
        finally:
            self._transport.hold(0)
            self.session.subscriptions.resume()
        self._sending_since = None

    async def _send_one(self, frame: bytes) -> int:
        await self._transport.send(frame)
        self._count(frame)
        return len(frame)

    # -- close ---------------------------------------------------------------------

    def check_deadlines(self, now: float) -> None:
        """Wake for bookmarks; close a connection whose client does not read."""
        since = self._sending_since
        if since is not None and now - since > self._timeouts.send:
            self.abort(close_codes.SLOW_CLIENT, "too slow; reconnect and resume")
        elif since is not None and self.session.closing:
            # The rest is dropped: it is sent again later, or must not be sent.
            self.abort(*self.session.closing)
        elif since is not None:
            self.session.subscriptions.limit_to_share(now)
            if now - since > STALL_AFTER_S:
                self.session.subscriptions.turn.release()
            if now - since > self._timeouts.stall:
                # Many such clients would fill the memory with unread data.
                self.session.subscriptions.drop_pending(MAX_STALLED_CHANGES)
        elif not self.session.compute_bookmark_delay(now):
            self.wake()

    def abort(self, code: int, reason: str) -> None:
        """Abort the connection without waiting."""
        if not self._is_ended:
            self._count_close(code)
            self._transport.abort(code, reason)
            self._finish()

    async def close(self, code: int, reason: str) -> None:
        """Close the connection with a reason."""
        self._count_close(code)
        try:
            await self._transport.close(code, reason)
        finally:
            self._finish()

    def _finish(self) -> None:
        self._is_ended = True
        self._notify_answered()
        self._stop()

    def _count_close(self, code: int) -> None:
        closes = self._metrics.closes
        closes[code] = closes.get(code, 0) + 1
