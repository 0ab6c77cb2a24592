"""All tasks of the sample project; what a worker imports."""

from herald_server.demo.tasks_metrics import (
    cleanup_old_snapshots,
    compute_schedule_metrics,
    compute_version_diff,
    generate_fairness_trend_report,
    snapshot_metrics,
)
from herald_server.demo.tasks_resilience import (
    activate_crisis_response,
    generate_utilization_forecast,
    periodic_health_check,
    precompute_fallback_schedules,
    run_contingency_analysis,
)
from herald_server.demo.tasks_sample import (
    import_absences,
    note_presence,
    search_roster,
    sync_calendar,
)

__all__ = [
    "activate_crisis_response",
    "cleanup_old_snapshots",
    "compute_schedule_metrics",
    "compute_version_diff",
    "generate_fairness_trend_report",
    "generate_utilization_forecast",
    "import_absences",
    "note_presence",
    "periodic_health_check",
    "precompute_fallback_schedules",
    "run_contingency_analysis",
    "search_roster",
    "snapshot_metrics",
    "sync_calendar",
]
