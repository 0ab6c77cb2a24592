"""What one connection is told: at once where its line takes it, else as it does.

Mostly a turn is a few frames that go without waiting. Where something has to be
read first, or the client takes its time, a task sees to it, and meanwhile the hub
keeps what comes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from contextvars import copy_context

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.model.shape import unix
from herald_server import limits
from herald_server.limits import Tally
from herald_server.line import Gone, Line
from herald_server.reading import Library
from herald_server.rounds import Rounds
from herald_server.session import HEARTBEAT, Session
from herald_server.subscription import Read

MAX_STALLED = 1_000
"""Changes of one subscription that are kept for a client that takes nothing."""

MAX_HELD = 512 * 1024
"""Bytes that a connection's subscriptions hold until all of them were read."""

STALLED_S = 1.0
"""Seconds without taking anything after which others read their snapshots."""

FULL_WAIT_S = 0.05
"""Seconds between two looks whether clients of the token took what waits for them."""

AGAIN_WITHIN = (0.3, 1.0)
"""Seconds after which a store that did not answer is asked again."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long clients are waited for, in seconds."""

    auth: float = 10.0
    send: float = 30.0
    stall: float = 5.0
    """Beyond it, few changes are kept for a client that takes nothing."""
    heartbeat: float = HEARTBEAT

    @property
    def glance(self) -> float:
        """Seconds between two looks at the clock."""
        return min(self.send / 6, self.heartbeat / 3)


class Telling:
    """Sends what a session has to say; `stop` is called when nothing more can be.

    `session` is set by whoever made it with our `wake`.
    """

    __slots__ = (
        "_again",
        "_context",
        "_due",
        "_ended",
        "_library",
        "_line",
        "_patience",
        "_rounds",
        "_sending_since",
        "_stop",
        "_talking",
        "_tally",
        "answered",
        "failure",
        "session",
        "single",
    )

    session: Session

    def __init__(
        self,
        line: Line,
        library: Library,
        rounds: Rounds,
        tally: Tally,
        patience: Patience,
        stop: Callable[[], None],
    ) -> None:
        self._line = line
        self._library = library
        self._rounds = rounds
        self._tally = tally
        self._patience = patience
        self._stop = stop
        self._context = copy_context()
        self._due = False
        """Whether a turn of it is to come."""
        self._again = False
        """Whether more became due while it talked."""
        self._ended = False
        self._talking: asyncio.Task[None] | None = None
        self._sending_since: float | None = None
        self.answered: asyncio.Event | None = None
        """Set each time when answers were sent, where anybody waits for that."""
        self.failure: BaseException | None = None
        self.single = False
        """Whether the connection ends with its one subscription."""

    def begin(self) -> None:
        """Look at the clock from now on."""
        self._rounds.join(self, self._patience.glance)
        self.wake()

    async def end(self) -> None:
        """Tell nothing more."""
        self._ended = True
        self._rounds.leave(self)
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])
        self._line.hold(0)

    def wake(self) -> None:
        """Note that there may be something to tell."""
        if not self._due and not self._ended:
            self._due = True
            self._rounds.due(self)

    # -- in turn -------------------------------------------------------------------

    def turn(self, now: float, data: bool) -> None:
        """Tell what goes without waiting; leave the rest to a task."""
        self._due = not data
        if self._ended:
            return
        if self._talking is not None:
            self._again = self._again or data
            return
        session = self.session
        if data and session.must_wait(now):
            asyncio.get_running_loop().call_later(FULL_WAIT_S, self.wake)
            return
        rest: list[bytes] = []
        if not session.reads and not session.closing:
            try:
                rest = self._told(now, data)
            except Gone:
                self._over()
                return
        if rest or session.reads or session.closing:
            if rest:
                # Counted before another one has its turn.
                self._line.hold(sum(map(len, rest)))
            # Not in the context of whoever happened to begin the round.
            talking = asyncio.create_task(self._talk(rest), context=self._context)
            self._talking = talking

    def _told(self, now: float, data: bool) -> list[bytes]:
        """Send what the line takes at once; return what is left."""
        session = self.session
        out = session.control()
        if data:
            out += session.data(now)
            if self.single and session.idle:
                session.close(limits.NORMAL, "done")
        for number, frame in enumerate(out):
            if not self._line.put(frame):
                return out[number:]
            self._count(frame)
        self._note_push()
        self._tell_answered()
        return []

    def _note_push(self) -> None:
        """Note how old the change was that was just told."""
        at = self.session.changed_at
        if at is not None:
            self.session.changed_at = None
            self._tally.pushes.note(time.time() - unix(at), time.monotonic())

    def _count(self, frame: bytes) -> None:
        self._tally.frames += 1
        self._tally.bytes += len(frame)

    def _tell_answered(self) -> None:
        if self.answered is not None:
            self.answered.set()

    # -- where there is something to wait for --------------------------------------

    async def _talk(self, rest: list[bytes]) -> None:
        try:
            await self._send(rest)
            self._note_push()
            await self._talk_on()
        except Gone:
            self._over()
        except Exception as error:
            self.failure = error
            self._over()
        finally:
            self._talking = None
        if self._again:
            self._again = False
            self.wake()

    async def _talk_on(self) -> None:
        """Read and tell until there is nothing to wait for any more."""
        session = self.session
        while True:
            await self._answer()
            await self._read()
            if session.closing:
                await self._answer()
                await self.close(*session.closing)
                return
            self._again = False
            await self._send_data()
            if self.single and session.idle:
                session.close(limits.NORMAL, "done")
            elif not session.reads:
                return

    async def _read(self) -> None:
        session = self.session
        while session.reads and not self._closing():
            read = session.reads.popleft()
            if not session.wanted(read):
                continue
            try:
                async with aclosing(self._library.serve(session, read)) as steps:
                    async for _ in steps:
                        await self._tell_all()
                        if self._closing():
                            return
            except StoreError:
                # `status` tells of it; who watches need not do anything.
                self._read_again_later(read)
            await self._tell_all()

    async def _tell_all(self) -> None:
        """Answer; tell some subscriptions before the others were read, if that is much.

        A cursor comes with the last of them only.
        """
        await self._answer()
        if self.session.held > MAX_HELD:
            await self._send_data()

    async def _send_data(self) -> None:
        # Nothing tells when a client took something.
        while self.session.must_wait(now := time.monotonic()):  # noqa: ASYNC110
            await asyncio.sleep(FULL_WAIT_S)
        await self._send(self.session.data(now))
        self._note_push()

    def _read_again_later(self, read: Read) -> None:
        loop = asyncio.get_running_loop()
        pause = random.uniform(*AGAIN_WITHIN)
        loop.call_later(pause, self._read_again, read, context=self._context)

    def _read_again(self, read: Read) -> None:
        if not self._ended and self.session.wanted(read):
            self.session.again(read)

    def _closing(self) -> bool:
        return self.session.closing is not None

    async def _answer(self) -> None:
        await self._send(self.session.control())
        self._tell_answered()

    async def _send(self, out: list[bytes]) -> None:
        # A library that was waited for may have swallowed a cancellation.
        if self._ended:
            raise Gone
        if not out:
            return
        left = sum(map(len, out)) + self.session.held
        # The last first: what is sent is let go of.
        out.reverse()
        self.session.stall()
        try:
            while out:
                self._line.hold(left)
                self._sending_since = time.monotonic()
                left -= await self._send_one(out.pop())
        finally:
            self._line.hold(0)
            self.session.go_on()
        self._sending_since = None

    async def _send_one(self, frame: bytes) -> int:
        await self._line.send(frame)
        self._count(frame)
        return len(frame)

    # -- its end -------------------------------------------------------------------

    def glance(self, now: float) -> None:
        """Wake for bookmarks; end a connection that takes nothing."""
        since = self._sending_since
        if since is not None and now - since > self._patience.send:
            self.cut(limits.SLOW, "too slow; reconnect and resume")
        elif since is not None and self.session.closing:
            # What is left is not waited for: it comes again, or must not come.
            self.cut(*self.session.closing)
        elif since is not None:
            self.session.keep_share(now)
            if now - since > STALLED_S:
                self.session.turn.give_up()
            if now - since > self._patience.stall:
                # Many such clients would fill the memory with what each did not take.
                self.session.drop_pending(MAX_STALLED)
        elif not self.session.quiet_for(now):
            self.wake()

    def cut(self, code: int, reason: str) -> None:
        """End the connection without waiting for anything."""
        if not self._ended:
            self._count_close(code)
            self._line.cut(code, reason)
            self._over()

    async def close(self, code: int, reason: str) -> None:
        """End the connection, telling why."""
        self._count_close(code)
        try:
            await self._line.close(code, reason)
        finally:
            self._over()

    def _over(self) -> None:
        self._ended = True
        self._tell_answered()
        self._stop()

    def _count_close(self, code: int) -> None:
        closes = self._tally.closes
        closes[code] = closes.get(code, 0) + 1
