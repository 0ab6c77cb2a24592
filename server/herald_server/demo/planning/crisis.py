"""The crisis response: give up services, replan, record, and say what was done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from herald_server.demo.planning import contingency, database
from herald_server.demo.planning.plan import (
    CALM,
    Reduced,
    Report,
    cover_by_id,
    problem_of,
    reduce_until_covered,
    unheard,
)
from herald_server.demo.planning.schedule import ESSENTIAL, People, Week

CRISIS_RUN: Final = "run-crisis"
_WEEKS: Final = {"minor": 2, "moderate": 4, "severe": 6, "critical": 8}
_SAME: Final = {"low": "minor", "medium": "moderate", "high": "severe"}


@dataclass(frozen=True, slots=True)
class Crisis:
    """Who declared what."""

    severity: str
    reason: str
    approved_by: str | None

    @property
    def level(self) -> str:
        """The severity as the response knows it; an unknown word is the worst."""
        word = self.severity.strip().lower()
        word = _SAME.get(word, word)
        return word if word in _WEEKS else "critical"


def respond(
    db: sqlite3.Connection, crisis: Crisis, now: datetime, report: Report
) -> list[str]:
    """Replan the coming weeks, write the crisis run, return the actions taken."""
    people = database.people(db)
    last = now.date() + timedelta(days=7 * _WEEKS[crisis.level] - 1)
    weeks = database.weeks(db, now.date(), last)
    essential = set(ESSENTIAL)
    plans: list[Reduced] = []
    weak: list[str] = []
    for number, week in enumerate(weeks, start=1):
        plans.append(reduce_until_covered(people, week, CALM, essential))
        weak += _weakest(people, week)
        report(number, len(weeks), f"replanned the week of {week.monday}")
    _write(db, crisis, now, plans)
    return list(_actions(db, crisis, last, plans, weak))


def _weakest(people: People, week: Week) -> list[str]:
    problems = (problem_of(people, week),)
    losses = contingency.analyse(problems, unheard)
    ranked = contingency.criticality(problems, losses)
    return [people.faculty[who].name for who, score in ranked[:3] if score]


def _write(
    db: sqlite3.Connection, crisis: Crisis, now: datetime, plans: Sequence[Reduced]
) -> None:
    with database.writing(db):
        db.execute(
            "INSERT INTO crises (at, severity, reason, approved_by)"
            " VALUES (?, ?, ?, ?)",
            (now.isoformat(), crisis.severity, crisis.reason, crisis.approved_by),
        )
        db.execute("INSERT OR IGNORE INTO runs VALUES (?, 'crisis')", (CRISIS_RUN,))
        db.execute("DELETE FROM assignments WHERE run_id = ?", (CRISIS_RUN,))
        for plan in plans:
            db.executemany(
                "INSERT INTO assignments VALUES (?, ?, ?)",
                (
                    (CRISIS_RUN, block_id, who)
                    for block_id, who in cover_by_id(plan.week, plan.plan).items()
                ),
            )


def _actions(
    db: sqlite3.Connection,
    crisis: Crisis,
    last: date,
    plans: Sequence[Reduced],
    weak: Sequence[str],
) -> list[str]:
    covered = sum(len(p.week.blocks) - len(p.plan.uncovered) for p in plans)
    uncovered = sum(len(p.plan.uncovered) for p in plans)
    actions = [
        f"activated the response level {crisis.level} until {last.isoformat()}",
        f"replanned {len(plans)} weeks as {CRISIS_RUN}: "
        f"{covered} blocks covered, {uncovered} not",
    ]
    if given_up := sorted({name for p in plans for name in p.given_up}):
        actions.append(f"gave up {', '.join(given_up)}")
    if names := sorted(set(weak)):
        actions.append(f"put on notice who cannot be spared: {', '.join(names)}")
    if fallback := _fallback(db, last):
        actions.append(fallback)
    return actions


def _fallback(db: sqlite3.Connection, last: date) -> str | None:
    row = db.execute(
        "SELECT id, scenario, services_reduced FROM fallbacks WHERE valid_until >= ?"
        " ORDER BY coverage_rate LIMIT 1",
        (last.isoformat(),),
    ).fetchone()
    if row is None:
        return None
    reduced = ", ".join(json.loads(row["services_reduced"])) or "nothing"
    name = row["scenario"].replace("_", " ")
    return f"holds ready the fallback {row['id']} ({name}; gives up {reduced})"
