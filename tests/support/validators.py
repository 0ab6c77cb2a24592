"""The seven promises of Herald, each as a check that can be put on any client.

A client writes what it hears into a `Journal`, one for each subscription. A
check returns what it complains about, as sentences; `kept` raises them all.
What the truth was is told by whoever knows it: the store, or its history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from herald_core.model.cursor import Cursor
from herald_core.model.tasks.views import FINAL_STATES, STATES
from herald_core.model.vector_cursor import parse_any_cursor
from tests.support.journal import Journal, Place, Step, place
from tests.support.model.view_history import ViewHistory

Revs = Mapping[str, str]
"""Task id → rev."""

START_PLACE: Place = (Cursor(0, 0), -1)
RESETS = frozenset(["new", "trimmed", "epoch", "slow", "filter"])
SOURCES = frozenset(["event", "backend", "inspect", "submitted", "inferred"])


def _puts(step: Step) -> list[Mapping[str, Any]]:
    return list(step.frame.get("put", ()))


# -- 1 -----------------------------------------------------------------------------


def ordered(journal: Journal) -> Iterator[str]:
    """Changes of a task come as they became true; the cursor never goes back.

    A snapshot that is broken off before its cursor, because history was lost
    meanwhile, was never the client's to believe.
    """
    newest: dict[str, Place] = {}
    cursor: Cursor | None = None
    doubts: list[str] = []
    for step in journal.steps:
        if step.frame.get("reset"):
            newest, cursor, doubts = {}, None, []
        for item in _puts(step):
            if item.get("rev"):
                told = newest.get(item["id"], START_PLACE)
                if place(item["rev"]) < told:
                    doubts.append(
                        f"{item['id']} went back from {told} to {item['rev']}"
                    )
                newest[item["id"]] = place(item["rev"])
        if step.frame.get("cursor"):
            now = parse_any_cursor(step.frame["cursor"])
            if cursor is not None and now < cursor:
                yield f"the cursor went back from {cursor} to {now}"
            cursor = now
            yield from doubts
            doubts = []


def never_back(journal: Journal) -> Iterator[str]:
    """No task goes back: its attempt, its step within one, and whose that is.

    That holds over reconnects and snapshots, unless the history itself was lost, which
    begins an epoch. As above, a snapshot counts once its cursor has come.
    """
    told: dict[tuple[str, int], ViewHistory] = {}
    doubts: list[str] = []
    for step in journal.steps:
        if step.frame.get("reset"):
            doubts = []
        if step.frame.get("reset") == "epoch":
            # Records that the new history took over keep the epoch of their revision.
            told.clear()
        for item in _puts(step):
            if item.get("rev") and item.get("state") in STATES:
                key = item["id"], place(item["rev"])[0].epoch
                history = told.setdefault(key, ViewHistory())
                doubts += [f"{item['id']}: {said}" for said in history.follow(item)]
        gone = set(step.frame.get("del", ()))
        told = {key: one for key, one in told.items() if key[0] not in gone}
        if step.frame.get("cursor"):
            yield from doubts
            doubts = []


# -- 2 -----------------------------------------------------------------------------


def unique(journal: Journal) -> Iterator[str]:
    """No change is told twice; no id stands twice in a frame.

    What was told behind the last cursor may come again after a reconnect.
    """
    told: set[tuple[str, str]] = set()
    unsafe: set[tuple[str, str]] = set()
    connection = 0
    for step in journal.steps:
        if step.connection != connection:
            connection = step.connection
            told -= unsafe
            unsafe = set()
        if step.frame.get("reset"):
            told, unsafe = set(), set()
        ids = [item["id"] for item in _puts(step)] + list(step.frame.get("del", ()))
        if len(ids) != len(set(ids)):
            yield f"an id stands twice in {step.frame}"
        for item in _puts(step):
            change = (item["id"], item.get("rev") or f"{len(told)}")
            if change in told:
                yield f"{change} was told twice"
            told.add(change)
            unsafe.add(change)
        if step.frame.get("cursor"):
            unsafe = set()


# -- 3 -----------------------------------------------------------------------------


def reliable(journal: Journal, truth: Revs) -> Iterator[str]:
    """What the client ends with is what is stored."""
    if journal.items != truth:
        yield f"it ends with {_differing(journal.items, truth)}"


def every_transition(
    journal: Journal, changes: Callable[[Cursor, Cursor], Iterable[tuple[str, str]]]
) -> Iterator[str]:
    """In mode `events`, each change (id, rev) between two cursors is told."""
    before: Cursor | None = None
    told: set[tuple[str, str]] = set()
    for step in journal.steps:
        if step.frame.get("reset"):
            before = None
        told |= {(item["id"], item["rev"]) for item in _puts(step)}
        if step.frame.get("cursor"):
            now = parse_any_cursor(step.frame["cursor"])
            missed = set(changes(before, now)) - told if before else set[Any]()
            if missed:
                yield f"between {before} and {now}, {missed} were not told"
            before, told = now, set()


# -- 4 -----------------------------------------------------------------------------


def atomic(journal: Journal, truth: Callable[[str], Revs | None]) -> Iterator[str]:
    """At each cursor the client has what was stored at that very place.

    `truth` returns that, or None where it is not known any more.
    """
    for step in journal.steps:
        cursor = step.frame.get("cursor")
        want = truth(cursor) if cursor else None
        if want is not None and want != step.items:
            yield f"at {cursor} it had {_differing(step.items, want)}"


# -- 5 -----------------------------------------------------------------------------


def resumable(journal: Journal) -> Iterator[str]:
    """A connection that resumes goes on where it was: nothing older is told again."""
    reset: set[int] = set()
    for step in journal.steps:
        if step.frame.get("reset"):
            reset.add(step.connection)
        since = journal.since[step.connection - 1]
        if since is None or step.connection in reset:
            continue
        for item in _puts(step):
            if item.get("rev") and place(item["rev"])[0] <= parse_any_cursor(since):
                yield f"resumed at {since}, it was told {item['rev']} again"
    first: set[int] = set()
    for step in journal.steps:
        fresh = step.connection not in first
        first.add(step.connection)
        blank = fresh and journal.since[step.connection - 1] is None
        if blank and step.frame["type"] == "data" and not step.frame.get("reset"):
            yield "a connection without a cursor began without a reset"


# -- 6 -----------------------------------------------------------------------------


def bookmarkable(journal: Journal, within: float) -> Iterator[str]:
    """While connected, a cursor comes at least each `within` seconds."""
    last: tuple[int, float] | None = None
    for step in journal.steps:
        if step.frame.get("cursor"):
            if last and last[0] == step.connection and step.at - last[1] > within:
                yield f"no cursor came for {step.at - last[1]:.2f} s"
            last = (step.connection, step.at)


# -- 7 -----------------------------------------------------------------------------


def honest(journal: Journal) -> Iterator[str]:
    """Each state says where it is from and when it was known; each reset, why."""
    for step in journal.steps:
        reset = step.frame.get("reset")
        if reset is not None and reset not in RESETS:
            yield f"a reset for the unknown reason {reset!r}"
        for item in _puts(step):
            if item.get("state") not in STATES:
                yield f"{item['id']} is of the unknown state {item.get('state')!r}"
            if item.get("source") not in SOURCES or not item.get("as_of"):
                yield f"{item['id']} does not say where it is from, and when: {item}"
            if bool(item.get("final")) != (item.get("state") in FINAL_STATES):
                yield f"{item['id']} is {item['state']}, and final: {item.get('final')}"


def _differing(found: Revs, want: Revs) -> str:
    ids = sorted(i for i in found.keys() | want.keys() if found.get(i) != want.get(i))
    return ", ".join(f"{i} at {found.get(i)} instead of {want.get(i)}" for i in ids[:5])


def complaints(
    journal: Journal,
    final: Revs | None = None,
    truth: Callable[[str], Revs | None] | None = None,
    bookmark_within: float | None = None,
    forgets: bool = False,
) -> list[str]:
    """Return what any of the checks complains about, as far as asked for.

    A store that `forgets` a task unnoticed tells of it as of a new one.
    """
    checks: dict[str, Iterable[str]] = {
        "ordered": ordered(journal),
        "never back": () if forgets else never_back(journal),
        "unique": unique(journal),
        "reliable": reliable(journal, final) if final is not None else (),
        "atomic": atomic(journal, truth) if truth is not None else (),
        "resumable": resumable(journal),
        "bookmarkable": (
            bookmarkable(journal, bookmark_within)
            if bookmark_within is not None
            else ()
        ),
        "honest": honest(journal),
    }
    return [f"not {name}: {said}" for name, check in checks.items() for said in check]


def kept(journal: Journal, **known: Any) -> None:
    """Fail with all that the checks complain about."""
    found = complaints(journal, **known)
    assert not found, "\n".join(found[:10])
