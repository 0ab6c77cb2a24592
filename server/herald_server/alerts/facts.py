"""What the rules of alerts are judged by. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from herald_core.model.gaps import Gap
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_server.alerts import rules
from herald_server.insight.stats.failures import FailureRate
from herald_server.push.freshness import Staleness

FactPart: TypeAlias = Literal[
    "failures",
    "lost",
    "running",
    "workers",
    "queues",
    "gaps",
    "schedules",
    "webhooks",
    "status",
]
"""A part of the facts, which is read by itself."""

PARTS: Mapping[str, FactPart] = {
    rules.TASK_FAILING: "failures",
    rules.TASK_FAILED: "failures",
    rules.TASK_LOST: "lost",
    rules.TASK_STUCK: "running",
    rules.QUEUE_UNCONSUMED: "queues",
    rules.QUEUE_OLD: "queues",
    rules.WORKER_SILENT: "workers",
    rules.GAP: "gaps",
    rules.SCHEDULE_MISSED: "schedules",
    rules.WEBHOOK_OFF: "webhooks",
    rules.MONITOR_BLIND: "status",
}
"""The part of the facts that rules of a kind need."""

BLIND_PARTS: frozenset[FactPart] = frozenset(["status", "webhooks"])
"""Parts that are true while the monitors receive nothing."""


class WebhookProblem(msgspec.Struct, frozen=True):
    """An endpoint that gets nothing, since when (unix seconds; None: not known)."""

    id: str
    reason: str
    since: float | None = None


class AlertFacts(msgspec.Struct, kw_only=True):
    """The facts as they were read last.

    `minutes` are the rollups of the last day, `limits` the 99th percentiles of runtimes
    by task name, `running` the tasks that run, and `schedules` those with a problem.
    """

    failing: Sequence[FailureRate] = ()
    minutes: Sequence[Rollup] = ()
    lost: Sequence[TaskView] = ()
    running: Sequence[TaskView] = ()
    limits: Mapping[str, float] = {}
    workers: Sequence[WorkerView] = ()
    queues: Sequence[QueueView] = ()
    gaps: Sequence[Gap] = ()
    schedules: Sequence[Mapping[str, Any]] = ()
    webhooks: Sequence[WebhookProblem] = ()
    staleness: Staleness | None = None
