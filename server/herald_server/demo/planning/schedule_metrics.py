"""What a run of the schedule is worth: fairness, coverage, compliance, stability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from herald_server.demo.planning.coverage import NOBODY, Assignment, solve, stated
from herald_server.demo.planning.fairness import fairness
from herald_server.demo.planning.plan import Report, problem_of
from herald_server.demo.planning.schedule import (
    HOURS_A_BLOCK,
    Block,
    People,
    Week,
    monday_of,
    on_service,
)

RULES: Final[tuple[str, ...]] = (
    *("absent", "unqualified", "double_booked", "over_hours", "unsupervised"),
)
Cover = Mapping[int, int]
"""Block id → faculty id."""
WeeklyLoads = Mapping[date, Sequence[int]]
"""Monday → how many blocks each one covers."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one run over a period; the first three lie in 0…1."""

    fairness: float
    coverage: float
    compliance: float
    blocks: int
    violations: dict[str, int]

    @property
    def violation_count(self) -> int:
        """All violations together."""
        return sum(self.violations.values())


def measure(people: People, weeks: Sequence[Week], cover: Cover) -> Measures:
    """Measure a run over whole weeks."""
    blocks = [block for week in weeks for block in week.blocks]
    found = violations(people, weeks, cover)
    load = Counter(cover[b.id] for b in blocks if b.id in cover)
    absent = found["absent"] + found["unqualified"]
    covered = load.total() - absent
    checks = max(1, len(blocks) + _supervised_half_days(people, weeks))
    return Measures(
        fairness=round(fairness([load[one.id] for one in people.faculty]), 4),
        coverage=round(covered / len(blocks), 4) if blocks else 1.0,
        compliance=round(max(0.0, 1 - sum(found.values()) / checks), 4),
        blocks=len(blocks),
        violations=found,
    )


def violations(people: People, weeks: Sequence[Week], cover: Cover) -> dict[str, int]:
    """Count what breaks a rule: each kind by itself."""
    found: dict[str, int] = dict.fromkeys(RULES, 0)
    for week in weeks:
        given = [(b, cover[b.id]) for b in week.blocks if b.id in cover]
        away = {(a.faculty_id, a.day) for a in week.absences}
        valid = [(b, who) for b, who in given if (who, b.day) not in away]
        places = Counter((who, b.day, b.half) for b, who in given)
        hours = Counter(who for _, who in given)
        found["absent"] += len(given) - len(valid)
        found["unqualified"] += sum(
            b.service not in people.faculty[who].services for b, who in given
        )
        found["double_booked"] += sum(count - 1 for count in places.values())
        found["over_hours"] += sum(
            count * HOURS_A_BLOCK > people.faculty[who].weekly_hours
            for who, count in hours.items()
        )
        found["unsupervised"] += _unsupervised(people, week, [b for b, _ in valid])
    return found


def _unsupervised(people: People, week: Week, covered: Sequence[Block]) -> int:
    staffed = {(b.day, b.half, b.service) for b in covered}
    open_ = {(b.day, b.half, b.service) for b in week.blocks} - staffed
    working = Counter(
        (day, on_service(one, day)) for one in people.residents for day in week.days
    )
    return sum(working[day, service] for day, _, service in open_)


def _supervised_half_days(people: People, weeks: Sequence[Week]) -> int:
    return sum(
        2
        for week in weeks
        for one in people.residents
        for day in week.days
        if on_service(one, day) is not None
    )


def weekly_loads(people: People, weeks: Sequence[Week], cover: Cover) -> WeeklyLoads:
    """Return, for each Monday, how many blocks each one covers."""
    load: dict[date, Counter[int]] = {week.monday: Counter() for week in weeks}
    for week in weeks:
        for block in week.blocks:
            if block.id in cover:
                load[monday_of(block.day)][cover[block.id]] += 1
    return {
        monday: [count[one.id] for one in people.faculty]
        for monday, count in load.items()
    }


def churn(people: People, weeks: Sequence[Week], report: Report) -> dict[str, float]:
    """Lose each pair in each week: how many blocks of others must move then."""
    moved: list[int] = []
    steps = len(weeks) * len(people.faculty)
    for number, week in enumerate(weeks):
        base = solve(problem_of(people, week))
        for one in people.faculty:
            for other in people.faculty[: one.id]:
                gone = (one.id, other.id)
                moved.append(_moved(base, base.without(gone), gone))
            step = number * len(people.faculty) + one.id + 1
            report(step, steps, f"losses in week {number + 1} of {len(weeks)}")
    return {
        "losses_tried": len(moved),
        "mean_blocks_moved": round(sum(moved) / max(1, len(moved)), 3),
        "most_blocks_moved": max(moved, default=0),
    }


def _moved(before: Assignment, after: Assignment, gone: Sequence[int]) -> int:
    pairs = zip(before.cover, after.cover, strict=True)
    return sum(a != b for a, b in pairs if a not in gone and a != NOBODY)


def weak_points(people: People, week: Week, cover: Cover) -> int:
    """Count the blocks that the losses of one uncover, and no repair covers."""
    problem = problem_of(people, week)
    plan = stated(problem, [cover.get(block.id, NOBODY) for block in week.blocks])
    before = len(plan.uncovered)
    after = (plan.without((one.id,)).uncovered for one in people.faculty)
    return sum(len(uncovered) - before for uncovered in after)
