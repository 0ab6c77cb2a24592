"""The JSON shapes of comparisons before and after a mark. Pure."""

from __future__ import annotations

import msgspec

from herald_core.model.marks.mark import Mark

SLOWER, FASTER = "slower", "faster"
MORE, FEWER = "more", "fewer"
SIMILAR, UNKNOWN = "similar", "unknown"


class Side(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One side of a comparison.

    `ended` counts runs that succeeded or failed, `runs` those that succeeded with a
    known runtime. `per_minute` is `ended` by the minute. Percentiles are in seconds, at
    most 9 % off, absent without runs; so is the rate of failures.
    """

    ended: int
    failed: int
    runs: int
    per_minute: float
    failure_rate: float | None = None
    p50: float | None = None
    p95: float | None = None


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One name before and after.

    `runtime` is `slower`, `faster`, `similar` or `unknown` (too few runs), `failures`
    is `more`, `fewer`, `similar` or `unknown`. `p50_ratio` and `p95_ratio` are after by
    before. Not `whole`: runs may be missing, since in some minute more than 64 names
    ran.
    """

    name: str
    before: Side
    after: Side
    runtime: str
    failures: str
    p50_ratio: float | None = None
    p95_ratio: float | None = None
    whole: bool = True


class Period(msgspec.Struct, frozen=True):
    """A time of whole minutes, RFC 3339; its last minute may still go on."""

    since: str
    until: str


class NameComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A name before and after a mark. `message` says in a sentence what it shows."""

    mark: Mark
    before: Period
    after: Period
    comparison: Comparison
    message: str


class SlowerNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names that are slower since a mark, or fail more often; the worst first.

    `counts` has the number of names by the verdict on their runtime.
    """

    mark: Mark
    before: Period
    after: Period
    slower: tuple[Comparison, ...]
    failing_more: tuple[Comparison, ...]
    counts: dict[str, int]
    whole: bool
    message: str
