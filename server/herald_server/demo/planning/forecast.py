"""How busy each coming day will be, when some fall ill whom nobody expected."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from herald_server.demo.planning.coverage import Problem, solve
from herald_server.demo.planning.plan import Report, problem_of
from herald_server.demo.planning.schedule import People, Week

SAMPLES: Final = 60
HIGH, CRITICAL = 0.80, 0.90
_ILLNESS: Final = {12: 0.05, 1: 0.06, 2: 0.05, 3: 0.04, 11: 0.04}


@dataclass(frozen=True, slots=True)
class Day:
    """One day as forecast; utilization is the 90th percentile of the samples."""

    day: date
    utilization: float
    uncovered_chance: float
    absent: int
    blocks: int

    @property
    def level(self) -> str:
        """How risky: normal, high or critical."""
        if self.utilization >= CRITICAL or self.uncovered_chance >= 0.5:
            return "critical"
        if self.utilization >= HIGH or self.uncovered_chance >= 0.1:
            return "high"
        return "normal"

    @property
    def factors(self) -> list[str]:
        """What makes it so, in words."""
        found: list[str] = []
        if self.absent:
            found.append(f"{self.absent} planned absences")
        if _ILLNESS.get(self.day.month):
            found.append("season of respiratory illness")
        if self.uncovered_chance:
            chance = f"{self.uncovered_chance:.0%}"
            found.append(f"{chance} chance that a block cannot be covered")
        return found


def forecast(
    people: People, weeks: Sequence[Week], first: date, last: date, report: Report
) -> list[Day]:
    """Forecast each day from `first` to `last`."""
    days = [pair for pair in _days(weeks) if first <= pair[1] <= last]
    found: list[Day] = []
    for number, (week, day) in enumerate(days, start=1):
        found.append(forecast_day(people, week, day))
        report(number, len(days), f"day {day.isoformat()}")
    return found


def forecast_day(people: People, week: Week, day: date) -> Day:
    """Draw who falls ill, many times, and solve the day each time."""
    blocks = tuple(block for block in week.blocks if block.day == day)
    problem = problem_of(people, replace(week, blocks=blocks))
    absent = {a.faculty_id for a in week.absences if a.day == day}
    rng = random.Random(f"forecast:{day.isoformat()}")
    used: list[float] = []
    failed = 0
    for _ in range(SAMPLES):
        ill = _ill(rng, day, len(people.faculty))
        used.append(_utilization(people, len(blocks), absent | ill))
        failed += bool(solve(_healthy(problem, ill), fair=False).uncovered)
    used.sort()
    return Day(
        day, used[int(0.9 * SAMPLES)], failed / SAMPLES, len(absent), len(blocks)
    )


def _days(weeks: Sequence[Week]) -> Iterator[tuple[Week, date]]:
    return ((week, day) for week in weeks for day in week.days)


def _ill(rng: random.Random, day: date, count: int) -> set[int]:
    rate = _ILLNESS.get(day.month, 0.02)
    return {who for who in range(count) if rng.random() < rate}


def _healthy(problem: Problem, ill: set[int]) -> Problem:
    limits = tuple(0 if n in ill else most for n, most in enumerate(problem.limits))
    return replace(problem, limits=limits)


def _utilization(people: People, blocks: int, away: set[int]) -> float:
    # Weekly hours are meant for five days; nobody covers more than both halves.
    hours = sum(
        min(8.0, one.weekly_hours / 5) for one in people.faculty if one.id not in away
    )
    return blocks * 4 / hours if hours else float(bool(blocks))
