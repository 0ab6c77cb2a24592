"""How many bytes may wait unread for one token, and whose connection ends."""

import time

from herald_server.auth.quotas import close_codes
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.stalled_clients import MAX_CHANGES, StalledShare
from herald_server.auth.quotas.unread_bytes import (
    CHECK_INTERVAL_S,
    GRACE_S,
    HARD_GRACE_S,
    HARD_MAX_BYTES,
    MAX_BYTES,
    TokenBacklog,
    UnreadBytes,
    count_waiting_bytes,
)


class Transport:
    """A transport in which `waiting` bytes wait."""

    def __init__(self) -> None:
        self.waiting = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted, self.waiting = True, 0


class Connection:
    """A connection of `backlog`, and with what code it was cut."""

    def __init__(self, backlog: TokenBacklog) -> None:
        self.transport = Transport()
        self.code: int | None = None
        self.unread = UnreadBytes(self.transport, self._cut)
        self.unread.count_for(backlog)

    def _cut(self, code: int, reason: str) -> None:
        self.code = code

    def write(self, size: int) -> "Connection":
        self.transport.waiting += size
        self.unread.on_write()
        return self

    def age(self, seconds: float) -> "Connection":
        """Let it have taken nothing for so long."""
        self.unread.since -= seconds
        return self


def test_what_is_read_at_once_costs_nothing() -> None:
    backlog = TokenBacklog()
    for _ in range(1_000):
        Connection(backlog).write(0)
    assert backlog.total == 0


def test_who_takes_nothing_longest_is_ended_and_others_stay() -> None:
    backlog, half = TokenBacklog(PushMetrics()), MAX_BYTES // 2
    longest = Connection(backlog).write(half).age(GRACE_S * 3)
    longer = Connection(backlog).write(half).age(GRACE_S * 2)
    newest = Connection(backlog).write(half)
    assert longest.code == close_codes.SLOW_CLIENT
    assert (longer.code, newest.code) == (None, None)
    assert backlog.metrics.refusals == {"unread": 1}
    # It may still read why; what waits for it is counted until it is gone.
    assert not longest.transport.aborted
    assert not backlog.is_over(0.0)
    longest.unread.on_lost()
    assert backlog.total == 2 * half


def test_who_takes_a_little_is_not_ended() -> None:
    backlog = TokenBacklog()
    slow = Connection(backlog).write(MAX_BYTES).age(GRACE_S * 2)
    slow.transport.waiting -= 1
    Connection(backlog).write(MAX_BYTES // 2)
    assert slow.code is None


def test_what_was_taken_is_noticed_before_anybody_is_ended() -> None:
    backlog = TokenBacklog()
    reading = [
        Connection(backlog).write(MAX_BYTES // 4).age(GRACE_S * 2) for _ in "abc"
    ]
    for one in reading:
        one.transport.waiting = 0
    Connection(backlog).write(MAX_BYTES // 2)
    assert [one.code for one in reading] == [None] * 3
    assert backlog.total == MAX_BYTES // 2


def test_beyond_the_hard_bound_nothing_is_sent_and_the_longest_are_hung_up() -> None:
    backlog = TokenBacklog()
    crowd = [Connection(backlog).write(HARD_MAX_BYTES // 8) for _ in range(20)]
    now = time.monotonic()
    assert backlog.stays_full(now)
    assert not any(one.transport.aborted for one in crowd), "they may read yet"
    for number, one in enumerate(crowd):
        one.age(HARD_GRACE_S - number * 0.001)
    assert not backlog.stays_full(now + 2 * CHECK_INTERVAL_S)
    hung_up = [one.transport.aborted for one in crowd]
    assert hung_up == [True] * 12 + [False] * 8


def test_one_that_holds_too_much_alone_is_hung_up_before_others() -> None:
    backlog = TokenBacklog()
    small = Connection(backlog).write(1_000).age(HARD_GRACE_S * 2)
    large = Connection(backlog).write(HARD_MAX_BYTES).age(HARD_GRACE_S)
    large.write(1)
    assert not backlog.stays_full(time.monotonic() + 2 * CHECK_INTERVAL_S)
    assert large.transport.aborted
    assert not small.transport.aborted


def test_frames_in_hand_count_until_they_are_sent() -> None:
    backlog = TokenBacklog()
    one = Connection(backlog)
    one.unread.hold(MAX_BYTES // 2)
    one.write(100)
    assert backlog.total == MAX_BYTES // 2 + 100
    one.unread.hold(0)
    assert backlog.total == 100


def test_with_another_token_it_counts_for_that() -> None:
    old, new = TokenBacklog(), TokenBacklog()
    one = Connection(old).write(100)
    one.unread.count_for(new)
    assert (old.total, new.total) == (0, 100)
    one.unread.on_lost()
    assert new.total == 0


def test_what_waits_below_tls_counts() -> None:
    class Below:
        def __init__(self) -> None:
            self._transport = Transport()
            self._transport.waiting = 5

    class Above(Transport):
        def __init__(self) -> None:
            super().__init__()
            self.waiting = 2
            self._ssl_protocol = Below()

    assert count_waiting_bytes(Above()) == 7


def test_stalled_subscriptions_of_a_token_share_what_is_kept() -> None:
    share = StalledShare()
    share.add(100)
    assert share.changes * 100 == MAX_CHANGES
    share.add(-99)
    assert share.changes == MAX_CHANGES
