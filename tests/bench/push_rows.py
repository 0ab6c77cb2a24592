"""The rows of the bench's table that tell of many watchers."""

from tests.bench.push import RATE, Place, WatchCost, place
from tests.bench.table import Table

SINGLY = 10.0
"""Events a second that are so far apart that each has a frame of its own."""

BUSY = (
    (50, "everything", "everything", 2_000.0),
    (1_000, "one percent", "1 %", 5_000.0),
)
"""Watchers, of what, and events a second that concern them."""


def measure_push(table: Table, quick: bool) -> None:
    """Measure what many watchers cost, and how late their frames are."""
    many, all_ = (500, 500) if quick else (5_000, 1_000)
    seconds = 2.5 if quick else 15.0
    table.part("telling many; clients, server, monitor and brokers share 2 cores")
    with place() as room:
        _one_percent(table, room, many, seconds)
    for watchers, kind, what, rate in BUSY:
        with place() as room:
            told = room.tell(watchers, kind, rate, seconds, checked=20)
            _row(table, f"{watchers} of {what}, {rate:.0f}/s", told)
    with place() as room:
        _everything(table, room, all_, seconds)
    with place() as room:
        _deaf(table, room, seconds)
    with place() as room:
        _one_of_many(table, room, *((5_000, 200) if quick else (100_000, 1_000)))


def _row(table: Table, what: str, told: WatchCost) -> None:
    late, wrong = told.late, f"  WRONG: {told.wrong}" if told.wrong else ""
    figures = f"p50 {late['p50']:7.1f}  p99 {late['p99']:7.1f} ms  "
    figures += f"{told.each:6.2f} µs CPU a change"
    table.row(what, figures + wrong)


def _reset(told: WatchCost) -> str:
    slow = told.resets.get("slow", 0)
    return f"told to start over: {slow}; closed: {told.closes or 'nobody'}"


def _one_percent(table: Table, room: Place, number: int, seconds: float) -> None:
    told = room.tell(number, "one percent", RATE, seconds)
    _row(table, f"{number} watchers of 1 %, {RATE:.0f}/s", told)
    table.row("", f"{told.grown:7.1f} KB of memory a watcher")


def _everything(table: Table, room: Place, number: int, seconds: float) -> None:
    """Compare many changes a frame with one; both from the same server."""
    singly = room.tell(number, "everything", SINGLY, seconds, checked=20)
    _row(table, f"{number} of everything, {SINGLY:.0f}/s", singly)
    told = room.tell(number, "everything", RATE, seconds, checked=20)
    _row(table, f"{number} of everything, {RATE:.0f}/s", told)
    ratio = "a change of many: CPU of one that is sent alone"
    table.row("", "", ratio, told.each / singly.each)


def _deaf(table: Table, room: Place, seconds: float) -> None:
    """Compare a hundred with the same hundred beside one who never reads."""
    alone = room.tell(100, "everything", RATE, seconds, checked=5)
    _row(table, "100 of everything", alone)
    beside = room.tell(100, "everything", RATE, seconds, checked=5, deaf=1)
    _row(table, "beside one that never reads", beside)
    table.row("", _reset(beside))


def _one_of_many(table: Table, room: Place, many: int, changes: int) -> None:
    """Compare a watcher of one task among few with one among many."""
    room.active(100)
    few = room.told_of_one(changes)
    _row(table, "1 watcher of 1 task among 100", few)
    room.active(many)
    told = room.told_of_one(changes)
    _row(table, f"1 watcher of 1 task among {many}", told)
    ratio = "a task among many: CPU of one among 100"
    table.row("", "", ratio, told.each / few.each)
