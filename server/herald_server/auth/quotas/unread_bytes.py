"""Limit the unread bytes of one token, over all of its connections.

Bytes count while the client has not read them; bytes that it reads at once do not
count. Without a valid token they count for the address. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from herald_server.auth.quotas import close_codes
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.stalled_clients import StalledShare

MAX_BYTES = 4 * 1024 * 1024
"""Unread bytes of a token beyond which no large response is read for it, and
connections of clients that read nothing are closed."""

HARD_MAX_BYTES = 2 * MAX_BYTES
"""Unread bytes of a token beyond which nothing is sent to it, and its connections are
aborted."""

GRACE_S = 2.0
"""Seconds in which a client must read something while more than `MAX_BYTES` are
unread."""

HARD_GRACE_S = 0.25
"""The same while more than `HARD_MAX_BYTES` are unread. One change may be sent to many
clients at once."""

CHECK_INTERVAL_S = 0.02
POLL_INTERVAL_S = 0.02

MAX_ANSWERS = 4
"""Large responses that are built for one token at a time."""

MAX_SNAPSHOTS = 8
"""Connections of one token for which snapshots are read at a time."""

Abort = Callable[[int, str], None]


class TokenBacklog:
    """Unread bytes of the clients of one token, or of one address."""

    __slots__ = (
        "_check_at",
        "_connections",
        "answers",
        "lookups",
        "metrics",
        "snapshots",
        "stalled",
        "total",
    )

    def __init__(self, metrics: PushMetrics | None = None) -> None:
        self.total = 0
        """Bytes that wait, or waited when it was last looked."""
        self.metrics = metrics or PushMetrics()
        self.stalled = StalledShare()
        self.answers = asyncio.Semaphore(MAX_ANSWERS)
        self.lookups = asyncio.Semaphore(1)
        self.snapshots = asyncio.Semaphore(MAX_SNAPSHOTS)
        self._connections: set[UnreadBytes] = set()
        self._check_at = 0.0

    def add(self, one: UnreadBytes, more: int) -> None:
        """Add `more` unread bytes of `one`, or remove them if it is negative."""
        self.total += more
        if one.size:
            self._connections.add(one)
        else:
            self._connections.discard(one)

    def check(self, now: float) -> None:
        """Close connections if there are too many unread bytes."""
        if self.total > MAX_BYTES and now >= self._check_at:
            self._end_connections(now)

    def stays_full(self, now: float) -> bool:
        """Close clients that do not read; return True if over `HARD_MAX_BYTES` still
        waits."""
        self.check(now)
        return self.total > HARD_MAX_BYTES

    def is_over(self, now: float) -> bool:
        """Return True if more than `MAX_BYTES` bytes are unread; close
        clients that do not read."""
        return self.total > MAX_BYTES and self._end_connections(now) > MAX_BYTES

    async def wait_for_room(self) -> None:
        """Wait until some bytes were read, at most until idle clients were closed."""
        until = time.monotonic() + 2 * GRACE_S
        # There is no event when a client has read something.
        while self.is_over(now := time.monotonic()) and now < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL_S)

    def _end_connections(self, now: float) -> int:
        """Close connections; return the unread bytes of those that stay."""
        self._check_at = now + CHECK_INTERVAL_S
        for one in list(self._connections):
            one.update(now)
        if self.total <= MAX_BYTES:
            return self.total
        longest_first = sorted(self._connections, key=lambda one: one.since)
        left = self._end_idle(longest_first, now)
        self._hang_up(longest_first, now)
        return min(left, self.total)

    def _end_idle(self, longest_first: list[UnreadBytes], now: float) -> int:
        left = self.total - sum(one.size for one in longest_first if one.is_ending)
        for one in longest_first:
            if left <= MAX_BYTES or now - one.since < GRACE_S:
                break
            if not one.is_ending:
                left -= one.size
                self.metrics.count_refusal("unread")
                one.end()
        return left

    def _hang_up(self, longest_first: list[UnreadBytes], now: float) -> None:
        # A connection with that much of its own is not kept in place of all others.
        large = [one for one in longest_first if one.size > MAX_BYTES]
        for one in large or longest_first:
            if self.total <= HARD_MAX_BYTES:
                return
            if now - one.since >= HARD_GRACE_S:
                if not one.is_ending:
                    self.metrics.count_refusal("unread")
                one.hang_up()


class UnreadBytes:
    """Unread bytes of one connection: in its transport, and not handed over yet.

    `cut` closes the connection, with a reason for the client if possible.
    """

    __slots__ = (
        *("_backlog", "_in_hand", "_transport"),
        *("abort", "is_ending", "since", "size"),
    )

    def __init__(self, transport: Any, cut: Abort) -> None:
        self._transport = transport
        self._backlog: TokenBacklog | None = None
        self._in_hand = 0
        self.abort = cut
        self.is_ending = False
        self.size = 0
        self.since = 0.0
        """When its client last took something."""

    def count_for(self, backlog: TokenBacklog | None) -> None:
        """Count the bytes for `backlog` from now on."""
        if backlog is self._backlog:
            return
        size = self.size
        self._set(0, 0.0)
        self._backlog = backlog
        self._set(size, time.monotonic())

    def on_write(self) -> None:
        """Record that something was written to the transport."""
        if self.size or count_waiting_bytes(self._transport):
            self._record(time.monotonic())

    def hold(self, size: int) -> None:
        """Record that `size` bytes wait that the transport does not accept yet."""
        now = time.monotonic()
        if size < self._in_hand:
            self.since = now
        self._in_hand = size
        self._record(now)

    def _record(self, now: float) -> None:
        before = self.size
        self.update(now)
        if self.size > before and self._backlog is not None:
            self._backlog.check(now)

    def update(self, now: float) -> None:
        """Update the number of unread bytes."""
        self._set(count_waiting_bytes(self._transport) + self._in_hand, now)

    def on_lost(self) -> None:
        """Record that the connection is lost, with all unread bytes."""
        self._in_hand = 0
        self._set(0, 0.0)
        self._backlog = None

    def end(self) -> None:
        """Close the connection because its client does not read."""
        self.is_ending = True
        self.abort(close_codes.SLOW_CLIENT, "too slow; reconnect and resume")

    def hang_up(self) -> None:
        """Abort the connection; unread bytes are lost."""
        self.end()
        self._transport.abort()
        self.on_lost()

    def _set(self, size: int, now: float) -> None:
        if not self.size or size < self.size:
            self.since = now
        more, self.size = size - self.size, size
        if self._backlog is not None and more:
            self._backlog.add(self, more)


def count_waiting_bytes(transport: Any) -> int:
    """Return the number of unsent bytes in `transport`, below TLS too."""
    size: int = transport.get_write_buffer_size()
    # asyncio's TLS transport does not count what it passed on.
    secured = getattr(transport, "_ssl_protocol", None)
    below = getattr(secured, "_transport", None)
    return size if below is None else size + below.get_write_buffer_size()
