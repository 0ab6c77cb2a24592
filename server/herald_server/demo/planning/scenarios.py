"""Fallback schedules for bad times, computed before they come."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from herald_server.demo.planning.coverage import Assignment, solve
from herald_server.demo.planning.plan import (
    BY_NEED,
    Report,
    Strain,
    problem_of,
    reduce_until_covered,
    strained,
)
from herald_server.demo.planning.schedule import ESSENTIAL, People, Week

SAMPLES: Final = 12
BEARABLE_SHARE: Final = 0.02

Draw = Callable[[People, Week, random.Random], Strain]


def _half_capacity(people: People, week: Week, rng: random.Random) -> Strain:
    return Strain(away=_some(people, 0.5, rng))


def _holidays(people: People, week: Week, rng: random.Random) -> Strain:
    return Strain(away=_some(people, 0.6, rng), hours=1.25)


def _pandemic(people: People, week: Week, rng: random.Random) -> Strain:
    return Strain(away=_some(people, 0.4, rng), doubled=frozenset({"icu"}))


def _mass_casualty(people: People, week: Week, rng: random.Random) -> Strain:
    start = rng.randrange(5)
    days = frozenset(week.days[start : start + 3])
    return Strain(days=days, doubled=frozenset({"emergency", "icu"}))


def _weather(people: People, week: Week, rng: random.Random) -> Strain:
    start = rng.randrange(6)
    days = frozenset(week.days[start : start + 2])
    return Strain(away=_some(people, 0.35, rng), days=days)


DRAWN: Final[dict[str, Draw]] = {
    "half_capacity_season": _half_capacity,
    "holiday_skeleton": _holidays,
    "pandemic_essential_only": _pandemic,
    "mass_casualty_event": _mass_casualty,
    "weather_emergency": _weather,
}
SCENARIOS: Final = ("single_faculty_loss", "double_faculty_loss", *DRAWN)


@dataclass(slots=True)
class Fallback:
    """What a scenario leaves; `coverage_rate` is the mean over all its weeks.

    The rate counts all blocks that the scenario demands, those of services
    that are given up as well.
    """

    scenario: str
    rates: list[float] = field(default_factory=list[float])
    given_up: set[str] = field(default_factory=set[str])
    demanded: int = 0
    uncovered: int = 0

    @property
    def coverage_rate(self) -> float:
        """The share of blocks that is covered."""
        return sum(self.rates) / len(self.rates) if self.rates else 1.0

    @property
    def services_reduced(self) -> list[str]:
        """The services that are given up in some week, least needed first."""
        return [name for name in reversed(BY_NEED) if name in self.given_up]

    @property
    def failed(self) -> bool:
        """Whether too much is uncovered although all was given up that can be."""
        return self.uncovered > BEARABLE_SHARE * self.demanded


def precompute(
    people: People, weeks: Sequence[Week], report: Report
) -> Iterator[Fallback]:
    """Compute the fallback of each scenario over all weeks."""
    steps = len(SCENARIOS) * len(weeks)
    for number, name in enumerate(SCENARIOS):
        fallback = Fallback(name)
        for week_number, week in enumerate(weeks, start=1):
            for strain in _strains(name, people, week):
                _add(fallback, people, week, strain)
            done = number * len(weeks) + week_number
            report(done, steps, name.replace("_", " "))
        yield fallback


def _add(fallback: Fallback, people: People, week: Week, strain: Strain) -> None:
    demanded = strained(week, strain)
    reduced = reduce_until_covered(people, demanded, strain, ESSENTIAL)
    uncovered = reduced.plan.uncovered
    covered = len(reduced.week.blocks) - len(uncovered)
    fallback.rates.append(covered / max(1, len(demanded.blocks)))
    fallback.given_up.update(reduced.given_up)
    fallback.demanded += len(reduced.week.blocks)
    fallback.uncovered += len(uncovered)


def _strains(name: str, people: People, week: Week) -> Iterator[Strain]:
    if name not in DRAWN:
        size = 1 if name == "single_faculty_loss" else 2
        yield Strain(away=frozenset(worst_loss(solve(problem_of(people, week)), size)))
        return
    rng = random.Random(f"{name}:{week.monday.isoformat()}")
    for _ in range(SAMPLES):
        yield DRAWN[name](people, week, rng)


def worst_loss(base: Assignment, size: int) -> tuple[int, ...]:
    """Return those whose loss leaves most uncovered; then who covers most."""

    def harm(gone: tuple[int, ...]) -> tuple[int, int]:
        left = len(base.without(gone).uncovered)
        return left, sum(base.load[who] for who in gone)

    return max(combinations(range(len(base.load)), size), key=harm)


def _some(people: People, share: float, rng: random.Random) -> frozenset[int]:
    count = round(share * len(people.faculty))
    return frozenset(rng.sample(range(len(people.faculty)), count))
