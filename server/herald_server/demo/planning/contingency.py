"""What is left uncovered when one faculty member, or two, are gone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from herald_server.demo.planning.coverage import Assignment, Problem, solve
from herald_server.demo.planning.plan import Report

LOSS_SIZES: Final = tuple(range(2, 26, 2))
LOSS_SAMPLES: Final = 24
BROKEN_SHARE: Final = 0.02


@dataclass(slots=True)
class Losses:
    """What the losses did; a vulnerability is one block that one loss uncovers."""

    problems: int = 0
    uncovered: int = 0
    vulnerabilities: int = 0
    by_faculty: Counter[int] = field(default_factory=Counter[int])
    fatal_pairs: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    @property
    def n1_pass(self) -> bool:
        """Whether any one may go and every block is still covered."""
        return self.vulnerabilities == 0

    @property
    def n2_pass(self) -> bool:
        """Whether any two may go and every block is still covered."""
        return not self.fatal_pairs


def analyse(problems: Sequence[Problem], report: Report) -> Losses:
    """Try the loss of each one and of each pair in each week."""
    losses = Losses()
    people = len(problems[0].limits) if problems else 0
    steps = len(problems) * people
    for number, problem in enumerate(problems):
        base = solve(problem)
        losses.problems += 1
        losses.uncovered += len(base.uncovered)
        for who in range(people):
            lose_one(base, who, losses)
            lose_pairs(base, who, losses)
            step = number * people + who + 1
            report(step, steps, f"week {number + 1} of {len(problems)}")
    return losses


def lose_one(base: Assignment, who: int, losses: Losses) -> None:
    """Count the blocks that nobody can cover without `who`."""
    lost = len(base.without((who,)).uncovered)
    losses.vulnerabilities += lost
    if lost:
        losses.by_faculty[who] += lost


def lose_pairs(base: Assignment, who: int, losses: Losses) -> None:
    """Note the pairs of `who` and a later one whose loss uncovers a block."""
    first = base.without((who,))
    for other in range(who + 1, len(base.problem.limits)):
        if (who, other) not in losses.fatal_pairs and first.without((other,)).uncovered:
            losses.fatal_pairs.add((who, other))


def criticality(problems: Sequence[Problem], losses: Losses) -> list[tuple[int, float]]:
    """Rank the faculty: share of their losses and fatal pairs, worst first."""
    people = len(problems[0].limits) if problems else 0
    pairs = Counter(who for pair in losses.fatal_pairs for who in pair)
    blocks = max(1, losses.vulnerabilities)
    score = {
        who: losses.by_faculty[who] / blocks + pairs[who] / max(1, people - 1)
        for who in range(people)
    }
    return sorted(score.items(), key=lambda item: (-item[1], item[0]))


def breaking_point(problems: Sequence[Problem], report: Report) -> int | None:
    """Return how many random losses break coverage more often than not.

    Broken means that over 2 % of a week's blocks cannot be covered. None if
    even the largest loss that is tried does not break it.
    """
    bases = [solve(problem) for problem in problems]
    rng = random.Random("losses")
    steps = len(LOSS_SIZES) * len(bases)
    breaks_at: int | None = None
    for number, size in enumerate(LOSS_SIZES):
        broken = 0
        for week, base in enumerate(bases, start=1):
            broken += sum(_breaks(base, size, rng) for _ in range(LOSS_SAMPLES))
            report(number * len(bases) + week, steps, f"losing {size} at once")
        if breaks_at is None and broken * 2 > len(bases) * LOSS_SAMPLES:
            breaks_at = size
    return breaks_at


def _breaks(base: Assignment, size: int, rng: random.Random) -> bool:
    people = len(base.problem.limits)
    rest = base.without(rng.sample(range(people), min(size, people)))
    return len(rest.uncovered) > BROKEN_SHARE * len(rest.cover)


def transition_risk(breaks_at: int | None) -> str:
    """Say how near the point is at which coverage breaks down."""
    if breaks_at is None:
        return "low"
    levels = ((4, "critical"), (8, "high"), (16, "medium"))
    return next((word for most, word in levels if breaks_at <= most), "low")
