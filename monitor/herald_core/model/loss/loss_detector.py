"""Detection of lost events: a worker's counter against the events received.

A worker's heartbeat carries the number of tasks that it has accepted since its boot
(`processed`), and the worker sends `task-started` for each. Both carry its logical
clock. So the starts that a heartbeat counts are those with a lower clock, whatever
their time of arrival.

Celery batches task events for a moment and sends heartbeats at once, and a pool of
threads counts a task just before its event. So a heartbeat is compared only when the
next one arrives. A start counts as missing if two in a row find it missing.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

MAX_BOOTS = 10_000
"""Boots of workers that are counted; the one that was silent longest goes first."""

MAX_STARTS = 50_000
"""Starts of one boot between two heartbeats, beyond which it is not counted."""


class MissingStarts(msgspec.Struct, frozen=True):
    """Starts of one worker that were not received, between two times (unix seconds)."""

    hostname: str
    number: int
    since: float
    until: float


class _Heartbeat(msgspec.Struct):
    clock: int
    processed: int
    received_at: float


class _Boot(msgspec.Struct):
    """One life of a worker. `starts` are clocks above the last compared heartbeat."""

    starts: list[int] = msgspec.field(default_factory=list[int])
    received: int = 0
    """Starts between the first heartbeat and the last compared one."""
    sends_events: bool = False
    base: _Heartbeat | None = None
    last: _Heartbeat | None = None
    lacked: int = 0
    reported: int = 0
    """Missing starts that were reported."""
    sure_at: float = 0.0
    """The arrival of the newest heartbeat up to which no new start was missing."""
    excused: bool = False


class LossDetector:
    """The counts of all workers, each boot (hostname and pid) on its own."""

    def __init__(self) -> None:
        self._boots: dict[tuple[str, int], _Boot] = {}

    def track(self, hostname: str, pid: int) -> None:
        """Record that a worker sends task events: it is counted from now on."""
        self._get_boot(hostname, pid).sends_events = True

    def add_start(self, hostname: str, pid: int, clock: int) -> None:
        """Record a `task-started`; a duplicate counts once."""
        boot = self._get_boot(hostname, pid)
        boot.sends_events = True
        if boot.base is None or clock <= boot.base.clock:
            return
        starts = boot.starts
        if not starts or clock > starts[-1]:
            starts.append(clock)
        elif starts[place := bisect_left(starts, clock)] != clock:
            starts.insert(place, clock)
        if len(starts) > MAX_STARTS:
            _restart(boot)

    def reset(self, hostname: str, pid: int) -> None:
        """Note that a worker booted: a container has its old pid again."""
        self._boots.pop((hostname, pid), None)

    def add_heartbeat(
        self,
        hostname: str,
        pid: int,
        clock: int,
        processed: int | None,
        received_at: float,
    ) -> MissingStarts | None:
        """Record a heartbeat; return the starts that two in a row find missing.

        A heartbeat without `processed` (the answer to a receiver's request) is ignored.
        """
        boot = self._get_boot(hostname, pid)
        if processed is None or not boot.sends_events or boot.excused:
            return None
        heartbeat = _Heartbeat(clock, processed, received_at)
        if boot.last and (clock < boot.last.clock or processed < boot.last.processed):
            _handle_late_heartbeat(boot, heartbeat)
            return None
        if boot.base is None:
            _begin(boot, heartbeat)
            return None
        missing = _compare(boot, hostname) if boot.last else None
        boot.last = heartbeat
        return missing

    def ignore(self, hostname: str) -> None:
        """Stop counting this worker: some of its tasks send no events."""
        for (host, _), boot in self._boots.items():
            if host == hostname:
                _restart(boot)
                boot.excused = True

    def _get_boot(self, hostname: str, pid: int) -> _Boot:
        key = (hostname, pid)
        boot = self._boots.get(key)
        if boot is None:
            boot = self._boots[key] = _Boot()
            if len(self._boots) > MAX_BOOTS:
                del self._boots[next(iter(self._boots))]
        return boot


def _handle_late_heartbeat(boot: _Boot, heartbeat: _Heartbeat) -> None:
    """Skip a heartbeat that arrived late; start again after another boot."""
    assert boot.last is not None
    assert boot.base is not None
    late = (
        heartbeat.clock < boot.last.clock and heartbeat.processed <= boot.last.processed
    )
    if not late or heartbeat.clock < boot.base.clock:
        _restart(boot)
        _begin(boot, heartbeat)


def _restart(boot: _Boot) -> None:
    boot.starts.clear()
    boot.received = boot.lacked = boot.reported = 0
    boot.base = boot.last = None


def _begin(boot: _Boot, heartbeat: _Heartbeat) -> None:
    boot.base = boot.last = heartbeat
    boot.sure_at = heartbeat.received_at


def _compare(boot: _Boot, hostname: str) -> MissingStarts | None:
    """Compare the last heartbeat with the starts that were received by now."""
    base, last = boot.base, boot.last
    assert base is not None
    assert last is not None
    counted = bisect_left(boot.starts, last.clock)
    boot.received += counted
    del boot.starts[:counted]
    lack = last.processed - base.processed - boot.received
    both, boot.lacked = min(lack, boot.lacked), lack
    if both <= boot.reported:
        # A start that arrived late is no longer missing.
        boot.reported = max(min(boot.reported, lack), 0)
        if lack <= boot.reported:
            boot.sure_at = last.received_at
        return None
    found = MissingStarts(
        hostname, both - boot.reported, boot.sure_at, last.received_at
    )
    boot.reported, boot.sure_at = both, last.received_at
    return found
