"""Whether all that workers started was heard: their own count against ours.

A worker's heartbeat tells how many tasks it has accepted since it booted
(`processed`), and for each of them it says `task-started`. What it says carries
its logical clock, so the starts that a heartbeat counts are those with a lower
clock; nothing has to be guessed from the time of arrival.

Celery gathers task events for a moment and sends heartbeats at once, and a pool
of threads counts a task just before it says so. So a heartbeat is compared only
when the next one is heard, and only what two in a row find missing is missing.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

MOST_BOOTS = 10_000
"""Boots of workers that are counted; the one that was silent longest goes first."""

MOST_STARTS = 50_000
"""Starts of one boot between two heartbeats, beyond which it is not counted."""


class Missing(msgspec.Struct, frozen=True):
    """Starts of one worker that were not heard, between two times (unix seconds)."""

    hostname: str
    number: int
    since: float
    until: float


class _Beat(msgspec.Struct):
    clock: int
    processed: int
    heard: float


class _Boot(msgspec.Struct):
    """One life of a worker. `starts` are clocks above the last compared heartbeat."""

    starts: list[int] = msgspec.field(default_factory=list[int])
    seen: int = 0
    """Starts between the first heartbeat and the last compared one."""
    speaks: bool = False
    base: _Beat | None = None
    last: _Beat | None = None
    lacked: int = 0
    told: int = 0
    """Missing starts that were reported."""
    sure_at: float = 0.0
    """When the newest heartbeat was heard up to which nothing new was missing."""
    excused: bool = False


class Counting:
    """The counts of all workers, each boot (hostname and pid) on its own."""

    def __init__(self) -> None:
        self._boots: dict[tuple[str, int], _Boot] = {}

    def spoke(self, hostname: str, pid: int) -> None:
        """Note that a worker says task events: from now on it is counted."""
        self._boot(hostname, pid).speaks = True

    def started(self, hostname: str, pid: int, clock: int) -> None:
        """Note a `task-started`; heard twice it counts once."""
        boot = self._boot(hostname, pid)
        boot.speaks = True
        if boot.base is None or clock <= boot.base.clock:
            return
        starts = boot.starts
        if not starts or clock > starts[-1]:
            starts.append(clock)
        elif starts[place := bisect_left(starts, clock)] != clock:
            starts.insert(place, clock)
        if len(starts) > MOST_STARTS:
            _restart(boot)

    def online(self, hostname: str, pid: int) -> None:
        """Note that a worker booted: a container has its old pid again."""
        self._boots.pop((hostname, pid), None)

    def beat(
        self, hostname: str, pid: int, clock: int, processed: int | None, heard: float
    ) -> Missing | None:
        """Note a heartbeat, and return what two in a row found missing.

        One without `processed` (the answer to a receiver's greeting) tells nothing.
        """
        boot = self._boot(hostname, pid)
        if processed is None or not boot.speaks or boot.excused:
            return None
        beat = _Beat(clock, processed, heard)
        if boot.last and (clock < boot.last.clock or processed < boot.last.processed):
            _out_of_order(boot, beat)
            return None
        if boot.base is None:
            _begin(boot, beat)
            return None
        missing = _compare(boot, hostname) if boot.last else None
        boot.last = beat
        return missing

    def excuse(self, hostname: str) -> None:
        """Count this worker no more: it keeps silent about some of its tasks."""
        for (host, _), boot in self._boots.items():
            if host == hostname:
                _restart(boot)
                boot.excused = True

    def _boot(self, hostname: str, pid: int) -> _Boot:
        key = (hostname, pid)
        boot = self._boots.get(key)
        if boot is None:
            boot = self._boots[key] = _Boot()
            if len(self._boots) > MOST_BOOTS:
                del self._boots[next(iter(self._boots))]
        return boot


def _out_of_order(boot: _Boot, beat: _Beat) -> None:
    """Leave out a heartbeat that came late; begin anew with another boot's."""
    assert boot.last is not None
    assert boot.base is not None
    late = beat.clock < boot.last.clock and beat.processed <= boot.last.processed
    if not late or beat.clock < boot.base.clock:
        _restart(boot)
        _begin(boot, beat)


def _restart(boot: _Boot) -> None:
    boot.starts.clear()
    boot.seen = boot.lacked = boot.told = 0
    boot.base = boot.last = None


def _begin(boot: _Boot, beat: _Beat) -> None:
    boot.base = boot.last = beat
    boot.sure_at = beat.heard


def _compare(boot: _Boot, hostname: str) -> Missing | None:
    """Compare the last heartbeat with the starts that were heard by now."""
    base, last = boot.base, boot.last
    assert base is not None
    assert last is not None
    counted = bisect_left(boot.starts, last.clock)
    boot.seen += counted
    del boot.starts[:counted]
    lack = last.processed - base.processed - boot.seen
    both, boot.lacked = min(lack, boot.lacked), lack
    if both <= boot.told:
        # What came late after all is missing no more.
        boot.told = max(min(boot.told, lack), 0)
        if lack <= boot.told:
            boot.sure_at = last.heard
        return None
    found = Missing(hostname, both - boot.told, boot.sure_at, last.heard)
    boot.told, boot.sure_at = both, last.heard
    return found
