"""The rules of alerts, and those that are built in. Pure."""

from __future__ import annotations

import msgspec

from herald_core.model.patterns import compile_glob

TASK_FAILING = "task_failing"
TASK_FAILED = "task_failed"
TASK_LOST = "task_lost"
TASK_STUCK = "task_stuck"
QUEUE_UNCONSUMED = "queue_unconsumed"
QUEUE_OLD = "queue_old"
WORKER_SILENT = "worker_silent"
GAP = "gap"
SCHEDULE_MISSED = "schedule_missed"
WEBHOOK_OFF = "webhook_off"
MONITOR_BLIND = "monitor_blind"
RULE_KINDS = (
    *(TASK_FAILING, TASK_FAILED, TASK_LOST, TASK_STUCK, QUEUE_UNCONSUMED, QUEUE_OLD),
    *(WORKER_SILENT, GAP, SCHEDULE_MISSED, WEBHOOK_OFF, MONITOR_BLIND),
)

HOUR_S = 3_600.0


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: what it watches (`kind`), which subjects (`match`), and its limits.

    All times are in seconds. A problem fires once it has lasted for `hold`, and is
    resolved once it has been gone for `resolve_after`. A firing alert is repeated every
    `repeat` (None: never). `limit` is the age or runtime from which there is a problem,
    `count` the number of failures within `window`.
    """

    name: str
    kind: str
    match: str = "*"
    severity: str = "warning"
    enabled: bool = True
    hold: float = 0.0
    resolve_after: float = 30.0
    repeat: float | None = 4 * HOUR_S
    window: float = 0.0
    limit: float = 0.0
    count: int = 0

    def matches(self, subject: str) -> bool:
        """Return True if it watches `subject`."""
        return compile_glob(self.match)(subject)


BUILT_IN_RULES = tuple(
    AlertRule(name=kind, kind=kind, **limits)  # type: ignore[arg-type]
    for kind, limits in {
        TASK_FAILING: {},
        TASK_FAILED: {"enabled": False, "count": 10, "window": 300.0},
        TASK_LOST: {"window": 900.0},
        TASK_STUCK: {"limit": 60.0},
        QUEUE_UNCONSUMED: {"hold": 60.0, "severity": "critical"},
        QUEUE_OLD: {"limit": 900.0},
        WORKER_SILENT: {"hold": 30.0},
        GAP: {"hold": 60.0, "window": HOUR_S},
        SCHEDULE_MISSED: {},
        WEBHOOK_OFF: {},
        MONITOR_BLIND: {"hold": 30.0, "severity": "critical"},
    }.items()
)
"""The rules that apply unless a herald.toml changes them: one of each kind."""

KIND_KEYS = {
    TASK_FAILED: ("count", "window"),
    TASK_LOST: ("window",),
    TASK_STUCK: ("limit",),
    QUEUE_OLD: ("limit",),
    GAP: ("window",),
}
"""Keys that only rules of a kind have, besides `COMMON_KEYS`."""

COMMON_KEYS = {
    "kind": "Which kind of rule it is, if its name is not that of a built-in one",
    "match": "The subjects it watches: task names, queues, hostnames, schedules or "
    "endpoints; `*` and `?` are wild",
    "severity": "`info`, `warning` or `critical`",
    "enabled": "`false`: it never fires",
    "for": "How long a problem lasts before it fires",
    "resolve_after": "How long it must be gone to be resolved; 30s by default",
    "repeat": "After how long it is sent again, instead of that of [alerts]",
}
LIMIT_KEYS = {
    "count": "Of `task_failed`: failures within `window`",
    "window": "Of `task_failed`, `task_lost` and `gap`: how far back is counted",
    "limit": "Of `task_stuck` and `queue_old`: the runtime, or the age, from which on",
}
"""What keys mean: those of all rules, and those of the kinds in `KIND_KEYS`."""
