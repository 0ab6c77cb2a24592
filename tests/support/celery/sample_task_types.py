"""Small parameters of the ten task types, and what their results carry (dotted)."""

from herald_server.demo.planning.seeding import RUN_IDS

PERIOD = {"period.start", "period.end"}
SCENARIOS = (
    *("single_faculty_loss", "double_faculty_loss", "half_capacity_season"),
    *("holiday_skeleton", "pandemic_essential_only", "mass_casualty_event"),
    "weather_emergency",
)
TYPES: dict[str, tuple[dict[str, object], set[str]]] = {
    "resilience_health_check": (
        {},
        {"status", "utilization", "defense_level", "n1_pass", "n2_pass"}
        | {"immediate_actions"},
    ),
    "resilience_contingency": (
        {"days_ahead": 2},
        PERIOD
        | {"n1_pass", "n1_vulnerabilities_count", "n2_pass", "n2_fatal_pairs_count"}
        | {"phase_transition_risk", "most_critical_faculty", "recommendations"},
    ),
    "resilience_fallback_precompute": (
        {"days_ahead": 2},
        PERIOD
        | {"scenarios_computed", "scenarios_failed"}
        | {
            f"results.{scenario}.{key}"
            for scenario in SCENARIOS
            for key in ("id", "valid_until", "coverage_rate", "services_reduced")
        },
    ),
    "resilience_utilization_forecast": (
        {"days_ahead": 3},
        PERIOD | {"total_faculty", "high_risk_days", "high_risk_periods"},
    ),
    "resilience_crisis_activation": (
        {"severity": "minor", "reason": "storm"},
        {"severity", "reason", "actions_taken"},
    ),
    "metrics_computation": (
        {"start_date": "2026-11-23", "end_date": "2026-11-29"},
        PERIOD
        | {
            f"schedule_analysis.metrics.{name}.value"
            for name in ("fairness", "coverage", "compliance")
        }
        | {"stability_metrics", "task_status"},
    ),
    "metrics_snapshot": ({"period_days": 7}, PERIOD | {"metrics", "summary"}),
    "metrics_cleanup": (
        {"retention_days": 400},
        {"retention_days", "cutoff_date", "deleted_count", "deleted_by_status"}
        | {"task_status"},
    ),
    "metrics_fairness_report": (
        {"weeks_back": 2},
        {"weekly_fairness", "trend_direction", "anomalies", "recommendations"},
    ),
    "metrics_version_diff": (
        dict(zip(("run_id_1", "run_id_2"), RUN_IDS, strict=False)),
        {"comparison.differences.violations_delta"}
        | {"metric_changes.fairness_delta", "metric_changes.coverage_delta"}
        | {"summary.improved", "task_status"},
    ),
}
