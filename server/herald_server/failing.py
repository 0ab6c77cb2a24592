"""What fails now, against how often it usually does. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from herald_monitor.model.rollups import OTHER
from herald_server.minutes import Day
from herald_server.series import Runtime, runtime

LATELY = 5 * 60.0
"""Seconds that count as now."""

LEAST = 2
"""Failures below which nothing is unusual."""

CHANCE = 0.01
"""Likelihood below which that many failures are no accident."""

KNOWN = 10.0
USUAL = 0.05
"""A name of which nothing is known counts as if it had ended so often, and failed
in such a part."""


class Failing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How tasks of one name ended lately.

    `rate` is failures among those that `ended` (succeeded or failed) in the last
    five minutes, `normal` the same over the day before; absent if none had ended.
    `unusual`: the rate is above the normal one, as both are shown, and so many would
    be an accident in less than one of a hundred cases.
    """

    name: str
    failed: int
    ended: int
    rate: float | None = None
    normal: float | None = None
    normal_failed: int
    normal_ended: int
    unusual: bool = False


class Lately(Failing, frozen=True, omit_defaults=True, kw_only=True):
    """The same, and how long the `runs` of the day took that succeeded."""

    runs: int
    runtime: Runtime | None = None


def failing(day: Day) -> list[Failing]:
    """Return the names with failures lately: the most unusual first, then the most.

    `day` is one whose last `LATELY` seconds are apart.
    """
    return [one for one in compared(day) if one.failed]


def lately(day: Day) -> list[Lately]:
    """Return all names of the day, in the same order."""
    took = day.whole.runtimes_of
    return [
        Lately(
            **msgspec.structs.asdict(one),
            runs=sum(took.get(one.name, {}).values()),
            runtime=runtime(took.get(one.name, {})),
        )
        for one in compared(day)
    ]


def compared(day: Day) -> list[Failing]:
    """Return how each name ended lately, those that are most unusual first."""
    now_of, usual = day.lately.names, day.before.names
    found = [
        _compared(name, now_of.get(name, {}), usual.get(name, {}))
        for name in {**now_of, **usual}
        if name != OTHER
    ]
    found.sort(
        key=lambda pair: (not pair[1].unusual, pair[0], -pair[1].failed, pair[1].name)
    )
    return [one for _, one in found]


def _compared(
    name: str, now: Mapping[str, int], usual: Mapping[str, int]
) -> tuple[float, Failing]:
    failed, ended = _ended(now)
    usually, of = _ended(usual)
    above = not of or not ended or _shown(failed / ended) > _shown(usually / of)
    chance = at_least(failed, ended, (usually + KNOWN * USUAL) / (of + KNOWN))
    return chance, Failing(
        name=name,
        failed=failed,
        ended=ended,
        rate=round(failed / ended, 4) if ended else None,
        normal=round(usually / of, 4) if of else None,
        normal_failed=usually,
        normal_ended=of,
        unusual=above and failed >= LEAST and chance < CHANCE,
    )


def _shown(share: float) -> float:
    """Return a share in percent as exactly as people are shown it."""
    return round(100 * share, 0 if share >= 0.1 else 1)


def _ended(counts: Mapping[str, int]) -> tuple[int, int]:
    failed = counts.get("failed", 0)
    return failed, failed + counts.get("succeeded", 0)


def at_least(hits: int, tries: int, part: float) -> float:
    """Return how likely `hits` or more of `tries` are, each with the chance `part`."""
    if hits <= 0:
        return 1.0
    if not 0 < part < 1:
        return 1.0 if part >= 1 else 0.0
    # Summed up from the smaller side, in logarithms: tries may be many.
    upper = hits > tries * part
    those = range(hits, tries + 1) if upper else range(hits)
    total = 0.0
    for number in those:
        term = math.exp(_log_chance(number, tries, part))
        total += term
        if upper and term < total * 1e-12:
            break
    return min(total if upper else max(1.0 - total, 0.0), 1.0)


def _log_chance(hits: int, tries: int, part: float) -> float:
    ways = (
        math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    )
    return ways + hits * math.log(part) + (tries - hits) * math.log1p(-part)
