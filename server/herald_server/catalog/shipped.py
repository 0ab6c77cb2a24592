"""The ten shipped task types: a scheduler for medical residents."""

from __future__ import annotations

from typing import Final

from herald_server.catalog.types import Param, TaskType

_RESILIENCE: Final = "app.resilience.tasks"
_METRICS: Final = "app.tasks.schedule_metrics_tasks"


def _make_count(name: str, default: int, description: str) -> Param:
    return Param(name, "integer", description, default=default, minimum=1)


def _make_days_ahead() -> Param:
    return _make_count("days_ahead", 90, "days to look ahead, from today")


def _make_day(name: str, default: str, description: str) -> Param:
    return Param(name, "string", description, default=default, format="date")


def _make_text(name: str, description: str) -> Param:
    return Param(name, "string", description, required=True)


RESILIENCE: Final = (
    TaskType(
        name="resilience_health_check",
        celery_name=f"{_RESILIENCE}.periodic_health_check",
        description="Check utilization, N-1 and N-2 coverage of the coming weeks",
        duration="1-2 minutes",
    ),
    TaskType(
        name="resilience_contingency",
        celery_name=f"{_RESILIENCE}.run_contingency_analysis",
        description="Find whose loss, alone or in pairs, leaves blocks uncovered",
        params=(_make_days_ahead(),),
        duration="2-5 minutes",
    ),
    TaskType(
        name="resilience_fallback_precompute",
        celery_name=f"{_RESILIENCE}.precompute_fallback_schedules",
        description="Compute a fallback schedule for each of seven crisis scenarios",
        params=(_make_days_ahead(),),
        duration="5-10 minutes",
    ),
    TaskType(
        name="resilience_utilization_forecast",
        celery_name=f"{_RESILIENCE}.generate_utilization_forecast",
        description="Forecast the days on which faculty will be overloaded",
        params=(_make_days_ahead(),),
        duration="1-3 minutes",
    ),
    TaskType(
        name="resilience_crisis_activation",
        celery_name=f"{_RESILIENCE}.activate_crisis_response",
        description="Activate the crisis response: reduce services and replan",
        params=(
            _make_text(
                "severity", "how bad it is, such as minor, moderate or critical"
            ),
            _make_text("reason", "what happened, in a sentence"),
            Param("approved_by", "string", "who approved it", default=None),
        ),
        duration="30 seconds",
        scope="admin",
        confirm=True,
        title="crisis activation",
    ),
)

METRICS: Final = (
    TaskType(
        name="metrics_computation",
        celery_name=f"{_METRICS}.compute_schedule_metrics",
        description="Compute fairness, coverage, compliance and stability of a period",
        params=(
            _make_day("start_date", "today", "first day"),
            _make_day("end_date", "start_date+90", "last day"),
        ),
        duration="2-5 minutes",
        in_order=(("start_date", "end_date"),),
    ),
    TaskType(
        name="metrics_snapshot",
        celery_name=f"{_METRICS}.snapshot_metrics",
        description="Compute the metrics of the period and keep them as a snapshot",
        params=(_make_count("period_days", 90, "days that the snapshot covers"),),
        duration="1-2 minutes",
    ),
    TaskType(
        name="metrics_cleanup",
        celery_name=f"{_METRICS}.cleanup_old_snapshots",
        description="Delete snapshots that are older than the retention",
        params=(_make_count("retention_days", 365, "days that snapshots are kept"),),
        duration="1-2 minutes",
    ),
    TaskType(
        name="metrics_fairness_report",
        celery_name=f"{_METRICS}.generate_fairness_trend_report",
        description="Report how fairly blocks were shared, week by week",
        params=(_make_count("weeks_back", 12, "weeks to look back"),),
        duration="2-4 minutes",
    ),
    TaskType(
        name="metrics_version_diff",
        celery_name=f"{_METRICS}.compute_version_diff",
        description="Compare two runs of the schedule",
        params=(
            _make_text("run_id_1", "the run to compare from"),
            _make_text("run_id_2", "the run to compare with"),
        ),
        duration="1-3 minutes",
        title="version diff",
        required_together=("run_id_1", "run_id_2"),
    ),
)

SHIPPED: Final = RESILIENCE + METRICS
