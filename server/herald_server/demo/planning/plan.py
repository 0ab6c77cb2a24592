"""From weeks of the schedule to assignment problems, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from herald_server.demo.planning.coverage import NOBODY, Assignment, Problem, solve
from herald_server.demo.planning.schedule import (
    HOURS_A_BLOCK,
    SERVICES,
    Absence,
    Block,
    People,
    Week,
)

Report = Callable[[int, int, str], None]
"""Told after each piece of work: current, total, message."""


def unheard(current: int, total: int, message: str) -> None:
    """Take a report that nobody wants to hear."""


RANK: Final = {service.name: service.rank for service in SERVICES}
BY_NEED: Final = tuple(sorted(RANK, key=RANK.__getitem__))
"""Service names; the first is given up last."""


@dataclass(frozen=True, slots=True)
class Strain:
    """What a bad week adds: people away on some days, shorter hours, more to do."""

    away: frozenset[int] = frozenset()
    days: frozenset[date] | None = None
    hours: float = 1.0
    doubled: frozenset[str] = frozenset()

    def struck(self, faculty_id: int, day: date) -> bool:
        """Tell whether it keeps somebody away on a day."""
        return faculty_id in self.away and (self.days is None or day in self.days)


CALM: Final = Strain()


def problem_of(
    people: People,
    week: Week,
    strain: Strain = CALM,
    absences: Collection[Absence] | None = None,
) -> Problem:
    """State a week as an assignment problem; its blocks keep their order."""
    known = week.absences if absences is None else absences
    away = {(absence.faculty_id, absence.day) for absence in known}

    def may(day: date, service: str) -> tuple[int, ...]:
        return tuple(
            one.id
            for one in people.faculty
            if service in one.services
            and (one.id, day) not in away
            and not strain.struck(one.id, day)
        )

    kinds = {(block.day, block.service) for block in week.blocks}
    candidates = {kind: may(*kind) for kind in kinds}
    return Problem(
        slots=tuple(_slot(block, week.monday) for block in week.blocks),
        candidates=tuple(candidates[b.day, b.service] for b in week.blocks),
        limits=tuple(
            int(one.weekly_hours * strain.hours) // HOURS_A_BLOCK
            for one in people.faculty
        ),
    )


def strained(week: Week, strain: Strain) -> Week:
    """Return the week with the blocks that a strain asks for besides."""
    more = tuple(
        replace(block, id=block.id + 500)
        for block in week.blocks
        if block.service in strain.doubled
        and (strain.days is None or block.day in strain.days)
    )
    return replace(week, blocks=week.blocks + more)


def only(week: Week, services: Collection[str]) -> Week:
    """Return the week with the blocks of some services only."""
    kept = tuple(block for block in week.blocks if block.service in services)
    return replace(week, blocks=kept)


@dataclass(frozen=True, slots=True)
class Reduced:
    """A week that was planned with as little given up as it takes.

    `hours` is what the weekly hours had to be multiplied with.
    """

    week: Week
    plan: Assignment
    given_up: tuple[str, ...]
    hours: float


def reduce_until_covered(
    people: People, week: Week, strain: Strain, essential: Collection[str]
) -> Reduced:
    """Stretch hours, then give up services, least needed first, until covered.

    The last resort is half as many hours again for the essential services; what
    is uncovered then stays uncovered.
    """
    *resorts, last = _resorts(essential)
    for services, stretch in resorts:
        reduced = _reduced(people, week, strain, services, stretch)
        if not reduced.plan.uncovered:
            return reduced
    return _reduced(people, week, strain, *last)


def _reduced(
    people: People,
    week: Week,
    strain: Strain,
    services: tuple[str, ...],
    stretch: float,
) -> Reduced:
    kept = only(week, services)
    harder = replace(strain, hours=strain.hours * stretch)
    plan = solve(problem_of(people, kept, harder))
    return Reduced(kept, plan, BY_NEED[len(services) :], stretch)


def _resorts(essential: Collection[str]) -> list[tuple[tuple[str, ...], float]]:
    least = max(RANK[name] for name in essential)
    fewer = [(BY_NEED[:count], 1.25) for count in range(len(BY_NEED), least - 1, -1)]
    return [(BY_NEED, 1.0), *fewer, (BY_NEED[:least], 1.5)]


def cover_by_id(week: Week, plan: Assignment) -> dict[int, int]:
    """Return block id → faculty id of all covered blocks."""
    pairs = zip(week.blocks, plan.cover, strict=True)
    return {block.id: who for block, who in pairs if who != NOBODY}


def _slot(block: Block, monday: date) -> int:
    return 2 * (block.day - monday).days + (block.half == "PM")
