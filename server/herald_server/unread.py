"""How many bytes may wait unread for one token, over all of its connections.

Counted where they are handed to a connection whose client does not take them at once:
what is read at once costs nothing. Without a valid token they count for the address.
Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from herald_server import limits
from herald_server.limits import Tally
from herald_server.stalled import StalledShare

MOST = 4 * 1024 * 1024
"""Bytes beyond which nothing large is read for the token before some were taken, and
connections are ended whose client takes nothing."""

HARD = 2 * MOST
"""Bytes beyond which nothing is sent for the token, and connections are hung up."""

GRACE_S = 2.0
"""Seconds in which a client must take something while there are more than `MOST`."""

HARD_GRACE_S = 0.25
"""The same while there are more than `HARD`. Many who read may be told at once."""

LOOK_EVERY_S = 0.02
NAP_S = 0.02

ANSWERS = 4
"""Large answers that are made for one token at a time."""

SNAPSHOTS = 8
"""Connections of one token for which a snapshot is read at a time."""

Cut = Callable[[int, str], None]


class Backlog:
    """The bytes that wait for the clients of one token, or of one address."""

    __slots__ = (
        "_known",
        "_look_at",
        "answers",
        "lookups",
        "snapshots",
        "stalled",
        "tally",
        "total",
    )

    def __init__(self, tally: Tally | None = None) -> None:
        self.total = 0
        """Bytes that wait, or waited when it was last looked."""
        self.tally = tally or Tally()
        self.stalled = StalledShare()
        self.answers = asyncio.Semaphore(ANSWERS)
        self.lookups = asyncio.Semaphore(1)
        self.snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._known: set[Unread] = set()
        self._look_at = 0.0

    def count(self, one: Unread, more: int) -> None:
        """Note that `more` bytes wait on `one`, or fewer if it is negative."""
        self.total += more
        if one.size:
            self._known.add(one)
        else:
            self._known.discard(one)

    def check(self, now: float) -> None:
        """End connections if too much waits."""
        if self.total > MOST and now >= self._look_at:
            self._relieve(now)

    def is_full(self, now: float) -> bool:
        """Return True while nothing may be sent; end who takes none of what waits."""
        if self.total <= HARD:
            return False
        self.check(now)
        return self.total > HARD

    def is_over(self, now: float) -> bool:
        """Return True if more than `MOST` bytes wait; end who takes none of them."""
        return self.total > MOST and self._relieve(now) > MOST

    async def room(self) -> None:
        """Wait until some was taken, at most until who takes nothing was ended."""
        until = time.monotonic() + 2 * GRACE_S
        # Nothing tells when a client took something.
        while self.is_over(now := time.monotonic()) and now < until:  # noqa: ASYNC110
            await asyncio.sleep(NAP_S)

    def _relieve(self, now: float) -> int:
        """End connections; return how many bytes wait for those that stay."""
        self._look_at = now + LOOK_EVERY_S
        for one in list(self._known):
            one.look(now)
        if self.total <= MOST:
            return self.total
        longest_first = sorted(self._known, key=lambda one: one.since)
        left = self._end_idle(longest_first, now)
        self._hang_up(longest_first, now)
        return min(left, self.total)

    def _end_idle(self, longest_first: list[Unread], now: float) -> int:
        left = self.total - sum(one.size for one in longest_first if one.is_ending)
        for one in longest_first:
            if left <= MOST or now - one.since < GRACE_S:
                break
            if not one.is_ending:
                left -= one.size
                self.tally.refuse("unread")
                one.end()
        return left

    def _hang_up(self, longest_first: list[Unread], now: float) -> None:
        # One that holds so much alone is not let stay in place of all others.
        large = [one for one in longest_first if one.size > MOST]
        for one in large or longest_first:
            if self.total <= HARD:
                return
            if now - one.since >= HARD_GRACE_S:
                if not one.is_ending:
                    self.tally.refuse("unread")
                one.hang_up()


class Unread:
    """What waits for the client of one connection: in its transport, and in hand.

    `cut` ends the connection, telling its client if that can be.
    """

    __slots__ = (
        *("_backlog", "_in_hand", "_transport"),
        *("cut", "is_ending", "since", "size"),
    )

    def __init__(self, transport: Any, cut: Cut) -> None:
        self._transport = transport
        self._backlog: Backlog | None = None
        self._in_hand = 0
        self.cut = cut
        self.is_ending = False
        self.size = 0
        self.since = 0.0
        """When its client last took something."""

    def count_for(self, backlog: Backlog | None) -> None:
        """Count what waits for `backlog` from now on."""
        if backlog is self._backlog:
            return
        size = self.size
        self._set(0, 0.0)
        self._backlog = backlog
        self._set(size, time.monotonic())

    def wrote(self) -> None:
        """Note that something was written to the transport."""
        if self.size or waiting_in(self._transport):
            self._note(time.monotonic())

    def hold(self, size: int) -> None:
        """Note that `size` bytes are in hand that the transport does not take yet."""
        now = time.monotonic()
        if size < self._in_hand:
            self.since = now
        self._in_hand = size
        self._note(now)

    def _note(self, now: float) -> None:
        before = self.size
        self.look(now)
        if self.size > before and self._backlog is not None:
            self._backlog.check(now)

    def look(self, now: float) -> None:
        """Note how much waits now."""
        self._set(waiting_in(self._transport) + self._in_hand, now)

    def lost(self) -> None:
        """Note that the connection is lost, and all that waited."""
        self._in_hand = 0
        self._set(0, 0.0)
        self._backlog = None

    def end(self) -> None:
        """End the connection because its client takes nothing."""
        self.is_ending = True
        self.cut(limits.SLOW, "too slow; reconnect and resume")

    def hang_up(self) -> None:
        """Close the connection; what waits is lost."""
        self.end()
        self._transport.abort()
        self.lost()

    def _set(self, size: int, now: float) -> None:
        if not self.size or size < self.size:
            self.since = now
        more, self.size = size - self.size, size
        if self._backlog is not None and more:
            self._backlog.count(self, more)


def waiting_in(transport: Any) -> int:
    """Return how many bytes wait in `transport`, below TLS too."""
    size: int = transport.get_write_buffer_size()
    # asyncio's transport of TLS does not count what it handed on.
    secured = getattr(transport, "_ssl_protocol", None)
    below = getattr(secured, "_transport", None)
    return size if below is None else size + below.get_write_buffer_size()
