"""What connections may hold, and when they are aborted."""

from herald_server.auth.quotas.counters import PushMetrics
from herald_server.wiring.web_server.connection_guard import (
    CLOSE_TIMEOUT_S,
    STALL_TIMEOUT_S,
    ConnectionGuard,
)


class Connection:
    """A connection of which `unread` bytes wait for its client."""

    def __init__(self) -> None:
        self.unread = 0
        self.closing = False
        self._aborted = False

    def was_aborted(self) -> bool:
        return self._aborted

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self._aborted = self.closing = True
        self.unread = 0


def opened(guard: ConnectionGuard, address: str = "a") -> Connection:
    connection = Connection()
    guard.add(connection, address, 0.0)
    return connection


def test_a_client_that_reads_nothing_is_let_go_of() -> None:
    tally = PushMetrics()
    guard = ConnectionGuard(10, 0, metrics=tally)
    stalled, idle = opened(guard), opened(guard)
    stalled.unread = 1
    guard.check(0.0)
    guard.check(STALL_TIMEOUT_S - 1)
    assert not stalled.was_aborted()
    guard.check(STALL_TIMEOUT_S)
    assert stalled.was_aborted()
    assert not idle.was_aborted()
    assert tally.refusals == {"unread": 1}
    assert len(guard) == 1


def test_a_client_that_reads_slowly_stays() -> None:
    guard = ConnectionGuard(10, 0)
    slow = opened(guard)
    for second in range(0, 300, 5):
        slow.unread = 1_000 - second
        guard.check(float(second))
    assert not slow.was_aborted()


def test_one_that_is_closed_has_less_time() -> None:
    guard = ConnectionGuard(10, 0)
    closed = opened(guard)
    closed.unread = 1
    guard.check(0.0)
    closed.closing = True
    guard.check(5.0)
    assert not closed.was_aborted()
    guard.check(5.0 + CLOSE_TIMEOUT_S)
    assert closed.was_aborted()


def test_what_is_closed_and_read_is_watched_no_more() -> None:
    guard = ConnectionGuard(10, 1)
    opened(guard).closing = True
    guard.check(1.0)
    assert len(guard) == 0
    assert not opened(guard).was_aborted()


def test_so_many_are_open_at_once() -> None:
    guard = ConnectionGuard(2, 0)
    first, second, third = (opened(guard) for _ in range(3))
    assert third.was_aborted()
    guard.remove(first)
    assert not opened(guard).was_aborted()
    assert not second.was_aborted()


def test_so_many_of_one_address_are_unknown() -> None:
    tally = PushMetrics()
    guard = ConnectionGuard(99, 2, frozenset(["proxy"]), tally)
    first, _ = opened(guard), opened(guard)
    assert opened(guard).was_aborted()
    assert not opened(guard, "b").was_aborted()
    assert not any(opened(guard, "proxy").was_aborted() for _ in range(9))
    guard.admit(first)
    guard.admit(first)
    assert not opened(guard).was_aborted()
    assert opened(guard).was_aborted()
    assert tally.refusals == {"connections": 2}


def test_one_that_was_refused_can_be_lost_without_harm() -> None:
    guard = ConnectionGuard(0, 0)
    refused = opened(guard)
    guard.remove(refused)
    guard.admit(refused)
    assert len(guard) == 0
