"""Bodies of answers about workers, queues and periodic tasks."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from herald_core.model.schedules.marks import SourcesReport
from herald_core.model.schedules.problems import ScheduleProblem
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_server.api.openapi.answers.common import JsonObject, MarkedAnswer, StaleMark
from herald_server.insight.environments import EnvironmentView
from herald_server.insight.workers.history import WorkerRun
from herald_server.insight.workers.state_log import StateChange


class WorkerPageAnswer(MarkedAnswer):
    """Workers by name. `next` is the `after` of the next ones."""

    workers: list[WorkerView]
    total: int
    states: dict[str, int]
    whole: bool
    next: NotRequired[str | None]


class AskedWorker(TypedDict):
    """When a worker was asked, and which questions it left open."""

    at: str
    unanswered: list[str]
    message: str


class PoolDetails(TypedDict, total=False):
    """The pool of a worker, as it says."""

    implementation: str | None
    max_concurrency: int | None
    processes: list[int] | int | None
    threads: int | None
    max_tasks_per_child: int | str | None
    timeouts: list[float | None] | None


class QueueBinding(TypedDict):
    """A queue that a worker consumes."""

    name: str
    routing_keys: list[str]


class HeldTask(TypedDict):
    """A task that a worker has."""

    id: str
    name: NotRequired[str]
    eta: NotRequired[str]
    started_at: NotRequired[str]
    pid: NotRequired[int]


class HeldTaskList(TypedDict):
    """The number of tasks that a worker has, and the first of them."""

    total: int
    tasks: list[HeldTask]


class RevokedTaskList(TypedDict):
    """The number of ids that a worker holds revoked, and the first of them."""

    total: int
    ids: list[str]


class WorkerDetailAnswer(
    WorkerView, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A worker, and what it says of itself now. What it did not say is absent.

    `autoscale`, `rusage`, `totals` and `settings` are as Celery has them. `registered`
    has the `name` of each task and its limits. `can_be_ordered`: Herald knows a broker
    to send it orders.
    """

    asked: AskedWorker
    pid: int | None = None
    uptime_seconds: float | None = None
    prefetch: int | None = None
    pool_details: PoolDetails | None = None
    autoscale: JsonObject | None = None
    rusage: JsonObject | None = None
    totals: JsonObject | None = None
    queues: list[QueueBinding] | None = None
    active_tasks: HeldTaskList | None = None
    reserved_tasks: HeldTaskList | None = None
    scheduled_tasks: HeldTaskList | None = None
    revoked_tasks: RevokedTaskList | None = None
    registered: list[dict[str, str]] | None = None
    settings: JsonObject | None = None
    can_be_ordered: bool
    stale: StaleMark | None = None


class WorkerHistoryAnswer(MarkedAnswer):
    """What a worker did from `since` to `until`: `total` runs, of which 500 are listed.

    `searched` tasks were looked at; unless `whole`, older ones than `searched_back_to`
    may have run then too. `state_before` is its last change before.
    """

    worker: str
    since: str
    until: str
    runs: list[WorkerRun]
    total: int
    searched: int
    whole: bool
    searched_back_to: NotRequired[str]
    changes: list[StateChange]
    state_before: StateChange | None
    message: str


class MeasuredQueue(QueueView, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A queue as it was at `as_of`; what could not be measured is absent.

    `oldest_age` is in seconds. `stranded`: messages wait, and nobody consumes them;
    `may_be_stranded`: some workers did not say whether they do.
    """

    oldest_age: float | None = None
    stranded: bool = False
    may_be_stranded: bool = False


class QueuesAnswer(MarkedAnswer):
    """Queues as last measured."""

    queues: list[MeasuredQueue]


class ScheduledRunView(TypedDict):
    """A run of a periodic task, and how late it began, in seconds."""

    task_id: str
    state: str
    due: str
    submitted_at: NotRequired[str]
    received_at: NotRequired[str]
    started_at: NotRequired[str]
    finished_at: NotRequired[str]
    runtime: NotRequired[float]
    exception: NotRequired[str]
    late_s: float


class LearntView(TypedDict):
    """How a schedule was learnt: from how many runs, and how regular they are."""

    runs: int
    interval_s: float
    jitter_s: float
    first: str
    last: str


class ScheduleView(TypedDict):
    """A periodic task. The worst of its `problems` is the first.

    `strip` has the outcomes of the last day: the number of each, in half hours from
    `at` on. `unknown` says why the outcome of the last due time is not known.
    """

    id: str
    name: str
    task: str
    source: str
    schedule: str
    enabled: bool
    confirmed: bool
    confirmed_by: NotRequired[str]
    muted: bool
    muted_by: NotRequired[str]
    grace_s: float
    state: str
    problems: list[ScheduleProblem]
    strip: list[dict[str, str | int]]
    since: str
    timezone: NotRequired[str]
    args: NotRequired[str]
    kwargs: NotRequired[str]
    queue: NotRequired[str]
    interval_s: NotRequired[float]
    next_run: NotRequired[str]
    last_due: NotRequired[str]
    unknown: NotRequired[str]
    last_run: NotRequired[ScheduledRunView]
    learnt: NotRequired[LearntView]
    updated_at: str
    rev: NotRequired[str]


class ScheduleAnswer(ScheduleView, MarkedAnswer):
    """A periodic task. The worst of its `problems` is the first."""


class SchedulesAnswer(MarkedAnswer):
    """Periodic tasks, the most urgent first."""

    schedules: list[ScheduleView]
    total: int
    states: dict[str, int]
    sources: SourcesReport


class EnvironmentsAnswer(TypedDict):
    """The environments that the token may use, and the present one."""

    environments: list[EnvironmentView]
    current: str
