"""What is remembered of runs that are over and whose words were let go of. Pure.

A task that is retried for ever would grow for ever. Of runs that are long over only
what others are counted by is kept: numbers, and up to where each worker was heard.
That is the version vector of a set from which elements are removed (an observed-remove
set, Bieniusa et al. 2012): a word behind it that is not kept was let go of, so hearing
it again changes nothing, in whatever order tasks are joined.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from herald_monitor.model.runs import Mark, Run

MOST_BOOTS = 128
"""Workers' processes that are remembered; of those before nothing comes any more."""

Boot: TypeAlias = tuple[int, float]
"""The clock and the own time of the last word that was let go of."""


class Past(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All fields only grow, but for `submitted`, which is the earliest.

    `told` is the highest attempt that was shown where the words alone show a lower
    one; `number` the highest number of a run that was let go of; `sendings` the attempt
    (`retries`) below which all of them were; `at` and `heard` (ms) are of the latest
    word; `numbers` are those of runs that were kept although later ones were not, by
    the word that began them; `boots` by hostname and pid.
    """

    told: int = 0
    number: int = 0
    sendings: int = 0
    submitted: float | None = None
    at: float = 0.0
    heard: int = 0
    numbers: dict[str, int] = {}
    boots: dict[str, Boot] = {}


NOTHING = Past()


def boot_key(mark: Mark) -> str:
    """Return what names the worker process that said `mark`."""
    return f"{mark.pid} {mark.host}"


def begun_key(run: Run) -> str:
    """Return what names a run that was begun, whatever else is heard of it."""
    told = run.started or run.ends[0]
    return f"{told.clock} {boot_key(told)}"


def is_let_go(past: Past, mark: Mark) -> bool:
    """Say whether `mark`, which is not kept, was counted and let go of."""
    if mark.kind == "sent":
        return max(mark.retries, 0) < past.sendings
    clock, at = past.boots.get(boot_key(mark), (-1, 0.0))
    # A container that is restarted begins with a new clock, at a later time.
    return mark.clock <= clock and mark.spoken <= at


def join_pasts(a: Past | None, b: Past | None) -> Past | None:
    """Return what both remember; `a` itself if `b` remembers no more."""
    if a is None or b is None or a == b:
        return a or b
    sent = [one for one in (a.submitted, b.submitted) if one is not None]
    joined = Past(
        max(a.told, b.told),
        max(a.number, b.number),
        max(a.sendings, b.sendings),
        min(sent, default=None),
        max(a.at, b.at),
        max(a.heard, b.heard),
        {k: max(a.numbers.get(k, 0), n) for k, n in b.numbers.items()} | _more(a, b),
        newest_boots(_join_boots(a.boots, b.boots)),
    )
    return a if joined == a else joined


def _more(a: Past, b: Past) -> dict[str, int]:
    return {k: n for k, n in a.numbers.items() if k not in b.numbers}


def _join_boots(a: dict[str, Boot], b: dict[str, Boot]) -> dict[str, Boot]:
    none = (-1, 0.0)
    return {
        key: (
            max(a.get(key, none)[0], b.get(key, none)[0]),
            max(a.get(key, none)[1], b.get(key, none)[1]),
        )
        for key in a.keys() | b.keys()
    }


def newest_boots(boots: dict[str, Boot]) -> dict[str, Boot]:
    """Return those of `boots` that are remembered, in an order of their own."""
    newest = sorted(boots, key=lambda key: (boots[key][1], key))[-MOST_BOOTS:]
    return {key: boots[key] for key in sorted(newest)}
