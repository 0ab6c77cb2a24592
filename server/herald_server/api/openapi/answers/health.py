"""Bodies of answers about Herald's own health."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.store.types import ServerMemory
from herald_server.api.openapi.answers.common import MarkedAnswer
from herald_server.auth.quotas.latency import LatencyPercentiles


class StoreHealth(TypedDict):
    """Whether the store answers, and its servers with their memory."""

    reachable: bool
    servers: NotRequired[list[ServerMemory]]


class BackendHealth(TypedDict):
    """The result backend, and whether it can be asked for results."""

    kind: str
    name: str
    can_ask: bool
    says: str


class RepairCounts(TypedDict):
    """Repairs by the running monitors."""

    repaired: int
    found: int
    lost: int
    gaps_closed: int
    gaps_unrepairable: int


class RecentGaps(TypedDict):
    """Numbers of gaps of the last hour, and of open ones."""

    count: int
    open: int
    missing: int
    repaired: int
    unrepairable: int


class HealthReport(TypedDict):
    """Herald's own health: `status` is `ok`, `degraded` or `down`.

    `connections` to `push` are of this process. Keys of what is not known are absent.
    """

    status: str
    problem: NotRequired[str]
    node: str
    cursor: str
    connections: int
    watchers: int
    resets: int
    resets_by_reason: dict[str, int]
    push: NotRequired[LatencyPercentiles]
    event_lag_ms: NotRequired[int]
    last_event_at: NotRequired[str]
    store: StoreHealth
    backend: NotRequired[BackendHealth]
    repairs: RepairCounts
    schedules: NotRequired[dict[str, int]]
    gaps_last_hour: RecentGaps
    monitors: list[MonitorView]
    gaps: list[Gap]


class HealthAnswer(HealthReport, MarkedAnswer):
    """Herald's own health: `status` is `ok`, `degraded` or `down`.

    `connections` to `push` are of this process. Keys of what is not known are absent.
    """
