"""The five resilience tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from celery import Task, shared_task

from herald_server.demo.planning import (
    contingency,
    crisis,
    database,
    forecast,
    scenarios,
)
from herald_server.demo.planning.contingency import Losses
from herald_server.demo.planning.coverage import Problem
from herald_server.demo.planning.periods import Period, ahead, now, stamp
from herald_server.demo.planning.plan import Report, problem_of
from herald_server.demo.planning.scenarios import Fallback
from herald_server.demo.planning.schedule import People
from herald_server.demo.progress import forward

Result = dict[str, Any]

_PREFIX: Final = "app.resilience.tasks"
HEALTH_DAYS: Final = 27
_DEFENSE: Final = ((0.95, "BLACK"), (0.9, "RED"), (0.85, "ORANGE"), (0.75, "YELLOW"))


@shared_task(bind=True, name=f"{_PREFIX}.periodic_health_check")
def periodic_health_check(self: Task[[], Result]) -> Result:
    """Check utilization, N-1 and N-2 of the coming four weeks."""
    _, problems = _problems(ahead(HEALTH_DAYS))
    losses = contingency.analyse(problems, forward())
    used = sum(len(problem.slots) for problem in problems)
    utilization = used / max(1, sum(sum(problem.limits) for problem in problems))
    return {
        "timestamp": stamp(),
        "status": _status(losses),
        "utilization": round(utilization, 4),
        "defense_level": next((w for u, w in _DEFENSE if utilization >= u), "GREEN"),
        "n1_pass": losses.n1_pass,
        "n2_pass": losses.n2_pass,
        "immediate_actions": _immediate(losses),
    }


@shared_task(bind=True, name=f"{_PREFIX}.run_contingency_analysis")
def run_contingency_analysis(self: Task[..., Result], days_ahead: int = 90) -> Result:
    """Find whose loss, alone, in pairs or in numbers, breaks coverage."""
    period = ahead(days_ahead)
    people, problems = _problems(period)
    progress = forward()
    # The losses in numbers take about four times as long as the pairs.
    losses = contingency.analyse(problems, _part(progress, 0, 20))
    breaks_at = contingency.breaking_point(problems, _part(progress, 20, 100))
    risk = contingency.transition_risk(breaks_at)
    ranked = contingency.criticality(problems, losses)[:5]
    critical = [
        {"id": who, "name": people.faculty[who].name, "criticality": round(score, 4)}
        for who, score in ranked
        if score
    ]
    return {
        "timestamp": stamp(),
        "period": period.as_result(),
        "n1_pass": losses.n1_pass,
        "n1_vulnerabilities_count": losses.vulnerabilities,
        "n2_pass": losses.n2_pass,
        "n2_fatal_pairs_count": len(losses.fatal_pairs),
        "phase_transition_risk": risk,
        "most_critical_faculty": critical,
        "recommendations": list(_recommended(losses, breaks_at, people, ranked)),
    }


@shared_task(bind=True, name=f"{_PREFIX}.precompute_fallback_schedules")
def precompute_fallback_schedules(
    self: Task[..., Result], days_ahead: int = 90
) -> Result:
    """Compute and keep a fallback for each of seven scenarios."""
    period = ahead(days_ahead)
    with database.opened(database.demo_path()) as db:
        people = database.people(db)
        weeks = database.weeks(db, period.first, period.last)
        found = list(scenarios.precompute(people, weeks, forward()))
        results = {one.scenario: _fallback(one, period) for one in found}
        with database.writing(db):
            db.executemany(
                "INSERT OR REPLACE INTO fallbacks VALUES (?, ?, ?, ?, ?)",
                (
                    (name, *(_column(value) for value in row.values()))
                    for name, row in results.items()
                ),
            )
    failed = sum(one.failed for one in found)
    return {
        "timestamp": stamp(),
        "period": period.as_result(),
        "scenarios_computed": len(found) - failed,
        "scenarios_failed": failed,
        "results": results,
    }


@shared_task(bind=True, name=f"{_PREFIX}.generate_utilization_forecast")
def generate_utilization_forecast(
    self: Task[..., Result], days_ahead: int = 90
) -> Result:
    """Forecast each day, and name the days of high risk."""
    period = ahead(days_ahead)
    with database.opened(database.demo_path()) as db:
        people = database.people(db)
        weeks = database.weeks(db, period.first, period.last)
    days = forecast.forecast(people, weeks, period.first, period.last, forward())
    risky = [day for day in days if day.level != "normal"]
    return {
        "timestamp": stamp(),
        "period": period.as_result(),
        "total_faculty": len(people.faculty),
        "high_risk_days": len(risky),
        "high_risk_periods": [
            {
                "date": day.day.isoformat(),
                "utilization": round(day.utilization, 4),
                "level": day.level,
                "factors": day.factors,
            }
            for day in risky
        ],
    }


@shared_task(bind=True, name=f"{_PREFIX}.activate_crisis_response")
def activate_crisis_response(
    self: Task[..., Result],
    severity: str,
    reason: str,
    approved_by: str | None = None,
) -> Result:
    """Give up services, replan the coming weeks, and record the crisis."""
    declared = crisis.Crisis(severity, reason, approved_by)
    with database.opened(database.demo_path()) as db:
        actions = crisis.respond(db, declared, now(), forward())
    return {
        "timestamp": stamp(),
        "severity": severity,
        "reason": reason,
        "actions_taken": actions,
    }


def _problems(period: Period) -> tuple[People, list[Problem]]:
    with database.opened(database.demo_path()) as db:
        people = database.people(db)
        weeks = database.weeks(db, period.first, period.last)
    return people, [problem_of(people, week) for week in weeks]


def _part(progress: Report, start: int, end: int) -> Report:
    """Return the report of a part of a task that goes from `start` to `end` %."""

    def pass_on(current: int, total: int, message: str) -> None:
        progress(start + (end - start) * current // total, 100, message)

    return pass_on


def _status(losses: Losses) -> str:
    if losses.uncovered:
        return "critical"
    if not losses.n1_pass:
        return "degraded"
    return "healthy" if losses.n2_pass else "warning"


def _immediate(losses: Losses) -> list[str]:
    actions: list[str] = []
    if losses.uncovered:
        actions.append(f"find cover for {losses.uncovered} uncovered blocks")
    if losses.vulnerabilities:
        who = len(losses.by_faculty)
        actions.append(f"name a deputy for the {who} who cannot be spared")
    return actions


def _recommended(
    losses: Losses,
    breaks_at: int | None,
    people: People,
    ranked: Sequence[tuple[int, float]],
) -> list[str]:
    words = _immediate(losses)
    if losses.fatal_pairs and ranked:
        one = people.faculty[ranked[0][0]]
        thin = ", ".join(sorted(one.services))
        words.append(f"train more faculty besides {one.name} for {thin}")
        words.append(f"keep {len(losses.fatal_pairs)} pairs from being away together")
    if breaks_at is not None:
        words.append(f"coverage breaks when {breaks_at} are lost at once: keep a pool")
    return words or ["nothing to do: any two may be lost"]


def _fallback(fallback: Fallback, period: Period) -> Result:
    return {
        "id": f"fallback-{fallback.scenario}-{period.first.isoformat()}",
        "valid_until": period.last.isoformat(),
        "coverage_rate": round(fallback.coverage_rate, 4),
        "services_reduced": fallback.services_reduced,
    }


def _column(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value
