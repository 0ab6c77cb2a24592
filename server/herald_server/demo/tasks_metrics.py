"""The five tasks on the metrics of the schedule."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from statistics import fmean
from typing import Any, Final

from celery import Task, shared_task

from herald_server.demo.planning import database, fairness, schedule_metrics, snapshots
from herald_server.demo.planning.periods import Period, ahead, back, between, now, stamp
from herald_server.demo.planning.plan import Report
from herald_server.demo.planning.schedule import People, Week
from herald_server.demo.planning.schedule_metrics import Measures
from herald_server.demo.planning.seeding import CURRENT_RUN, DAYS_AHEAD, DAYS_BACK
from herald_server.demo.progress import forward

Result = dict[str, Any]

_PREFIX: Final = "app.tasks.schedule_metrics_tasks"
BOOTSTRAPS: Final = 3000
SHUFFLES: Final = 40_000
LONGEST_RETENTION_DAYS: Final = 36_500


@shared_task(bind=True, name=f"{_PREFIX}.compute_schedule_metrics")
def compute_schedule_metrics(
    self: Task[..., Result], start_date: str | None = None, end_date: str | None = None
) -> Result:
    """Compute fairness, coverage, compliance and stability of a period."""
    start = start_date or now().date().isoformat()
    end = end_date or (date.fromisoformat(start) + timedelta(days=90)).isoformat()
    period = between(start, end)
    with database.opened(database.demo_path()) as db:
        people, weeks, found = _measured(db, CURRENT_RUN, period)
    return {
        "timestamp": stamp(),
        "period": period.as_result(),
        "schedule_analysis": {
            "metrics": {name: {"value": v} for name, v in _values(found).items()},
            "violations": found.violations,
            "blocks": found.blocks,
        },
        "stability_metrics": schedule_metrics.churn(people, weeks, forward()),
        "task_status": "completed",
    }


@shared_task(bind=True, name=f"{_PREFIX}.snapshot_metrics")
def snapshot_metrics(self: Task[..., Result], period_days: int = 90) -> Result:
    """Compute the metrics of the last days and keep them as a snapshot."""
    period = back(period_days)
    with database.opened(database.demo_path()) as db:
        people, weeks, found = _measured(db, CURRENT_RUN, period)
        stability = schedule_metrics.churn(people, weeks, forward())
        metrics = {**_values(found), **stability}
        kept = snapshots.take(db, now(), metrics)
    return {
        "timestamp": stamp(),
        "period": period.as_result(),
        "metrics": metrics,
        "summary": {
            "blocks": found.blocks,
            "violations": found.violation_count,
            "snapshots_kept": kept,
        },
    }


@shared_task(bind=True, name=f"{_PREFIX}.cleanup_old_snapshots")
def cleanup_old_snapshots(self: Task[..., Result], retention_days: int = 365) -> Result:
    """Delete the snapshots older than the retention, verify the others."""
    if retention_days < 1:
        raise ValueError(f"retention_days must be at least 1, not {retention_days}")
    cutoff = now() - timedelta(days=min(retention_days, LONGEST_RETENTION_DAYS))
    with database.opened(database.demo_path()) as db:
        done = snapshots.clean(db, cutoff, forward())
    return {
        "timestamp": stamp(),
        "retention_days": retention_days,
        "cutoff_date": cutoff.date().isoformat(),
        "deleted_count": done.deleted.total(),
        "deleted_by_status": dict(done.deleted),
        "kept_count": done.kept,
        "damaged_count": done.damaged,
        "task_status": "completed",
    }


@shared_task(bind=True, name=f"{_PREFIX}.generate_fairness_trend_report")
def generate_fairness_trend_report(
    self: Task[..., Result], weeks_back: int = 12
) -> Result:
    """Report the fairness of each week, its trend, and what stands out."""
    period = back(7 * weeks_back)
    with database.opened(database.demo_path()) as db:
        people = database.people(db)
        weeks = database.weeks(db, period.first, period.last)
        cover = database.cover(db, CURRENT_RUN, weeks[0].monday, weeks[-1].days[-1])
    rng = random.Random(f"fairness:{period.first.isoformat()}")
    loads = schedule_metrics.weekly_loads(people, weeks, cover)
    weekly = _weekly(loads, rng, forward())
    values = [float(week["fairness"]) for week in weekly]
    chance = fairness.trend_chance(values, SHUFFLES, rng)
    trend = _trend(fairness.slope(values), chance)
    odd = [weekly[n]["week"] for n in fairness.outliers(values)]
    return {
        "timestamp": stamp(),
        "weekly_fairness": weekly,
        "trend_direction": trend,
        "anomalies": [{"week": week} for week in odd],
        "recommendations": list(_recommended(trend, odd, values)),
    }


@shared_task(bind=True, name=f"{_PREFIX}.compute_version_diff")
def compute_version_diff(
    self: Task[..., Result], run_id_1: str, run_id_2: str
) -> Result:
    """Compare two runs of the schedule over all that is planned."""
    period = Period(back(DAYS_BACK).first, ahead(DAYS_AHEAD).last)
    runs = (run_id_1, run_id_2)
    with database.opened(database.demo_path()) as db:
        _refuse_unknown_runs(db, *runs)
        people = database.people(db)
        weeks = database.weeks(db, period.first, period.last)
        covers = [_cover(db, run_id, weeks) for run_id in runs]
    weekly = _compared(people, weeks, covers, forward())
    first, second = (schedule_metrics.measure(people, weeks, cover) for cover in covers)
    moved = sum(a != b for a, b in _pairs(weeks, covers))
    return _diff(first, second, moved, weekly, runs)


def _compared(
    people: People,
    weeks: Sequence[Week],
    covers: Sequence[schedule_metrics.Cover],
    report: Report,
) -> list[Result]:
    """Compare week by week: where the second run got better or worse."""
    changed: list[Result] = []
    for number, week in enumerate(weeks, start=1):
        before, after = (
            schedule_metrics.measure(people, [week], cover) for cover in covers
        )
        moved = sum(a != b for a, b in _pairs([week], covers))
        worse = after.violation_count - before.violation_count
        weak = [schedule_metrics.weak_points(people, week, cover) for cover in covers]
        if moved:
            changed.append(
                {
                    "week": week.monday.isoformat(),
                    "blocks_reassigned": moved,
                    "violations_delta": worse,
                    "weak_points_delta": weak[1] - weak[0],
                }
            )
        report(number, len(weeks), f"compared the week of {week.monday}")
    return changed


def _pairs(
    weeks: Sequence[Week], covers: Sequence[schedule_metrics.Cover]
) -> Iterator[tuple[int | None, int | None]]:
    for week in weeks:
        for block in week.blocks:
            yield covers[0].get(block.id), covers[1].get(block.id)


def _diff(
    first: Measures,
    second: Measures,
    moved: int,
    weekly: list[Result],
    runs: tuple[str, str],
) -> Result:
    fairer = round(second.fairness - first.fairness, 4)
    covers = round(second.coverage - first.coverage, 4)
    worse = second.violation_count - first.violation_count
    return {
        "timestamp": stamp(),
        "comparison": {
            "run_id_1": runs[0],
            "run_id_2": runs[1],
            "weeks": weekly,
            "differences": {
                "violations_delta": worse,
                "violations_by_kind": {
                    kind: second.violations[kind] - count
                    for kind, count in first.violations.items()
                },
                "blocks_reassigned": moved,
                "compliance_delta": round(second.compliance - first.compliance, 4),
            },
        },
        "metric_changes": {"fairness_delta": fairer, "coverage_delta": covers},
        "summary": {
            "improved": covers >= 0 and worse <= 0 and (covers > 0 or worse < 0),
            "blocks": first.blocks,
            "blocks_reassigned": moved,
        },
        "task_status": "completed",
    }


def _measured(
    db: sqlite3.Connection, run_id: str, period: Period
) -> tuple[People, list[Week], Measures]:
    people = database.people(db)
    weeks = database.weeks(db, period.first, period.last)
    cover = _cover(db, run_id, weeks)
    return people, weeks, schedule_metrics.measure(people, weeks, cover)


def _cover(
    db: sqlite3.Connection, run_id: str, weeks: Sequence[Week]
) -> schedule_metrics.Cover:
    return database.cover(db, run_id, weeks[0].monday, weeks[-1].days[-1])


def _values(found: Measures) -> dict[str, float]:
    return {
        "fairness": found.fairness,
        "coverage": found.coverage,
        "compliance": found.compliance,
    }


def _weekly(
    loads: schedule_metrics.WeeklyLoads, rng: random.Random, report: Report
) -> list[Result]:
    weekly: list[Result] = []
    for number, (monday, load) in enumerate(loads.items(), start=1):
        low, high = fairness.spread(load, BOOTSTRAPS, rng)
        weekly.append(
            {
                "week": monday.isoformat(),
                "fairness": round(fairness.fairness(load), 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
        )
        report(number, len(loads), f"week of {monday}")
    return weekly


def _trend(slope: float, chance: float) -> str:
    if chance > 0.05 or not slope:
        return "stable"
    return "improving" if slope > 0 else "declining"


def _recommended(trend: str, odd: Sequence[str], values: Sequence[float]) -> list[str]:
    words = [f"look at the week of {week}: it stands out" for week in odd]
    if trend == "declining":
        words.append("share blocks anew: fairness declines")
    if fmean(values) < 0.85:
        words.append("fairness is below 0.85: move blocks from those who have most")
    return words or ["nothing to do: blocks are shared fairly"]


def _refuse_unknown_runs(db: sqlite3.Connection, *wanted: str) -> None:
    known = database.run_ids(db)
    for run_id in wanted:
        if run_id not in known:
            raise ValueError(
                f"there is no run {run_id!r}; the runs are {', '.join(known)}"
            )
