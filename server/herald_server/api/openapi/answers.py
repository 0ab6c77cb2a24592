"""The bodies of answers that no other type describes, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from herald_core.model.marks.mark import Mark
from herald_core.model.orders import Order
from herald_core.model.tasks.views import AttemptView, TaskView
from herald_core.model.workers.worker import WorkerView
from herald_server.auth.audit import AuditRecord
from herald_server.catalog.links import TaskLink
from herald_server.insight.environments import EnvironmentView
from herald_server.insight.groups.recent import GroupOverview
from herald_server.insight.search.suggestions import Suggestion
from herald_server.insight.stats.failures import FailureRate
from herald_server.insight.stats.suspects import Suspect
from herald_server.insight.stats.timeseries import Annotation, TimeBin

JsonObject = dict[str, Any]


class ProblemDocument(TypedDict):
    """An error (RFC 9457); `detail` says what happened and what to do."""

    type: str
    title: str
    status: int
    detail: str


class StaleMark(TypedDict):
    """Why the data may be outdated, and since when (RFC 3339)."""

    reason: str
    since: NotRequired[str]


class MarkedAnswer(TypedDict):
    """An answer from the store; `stale` says that it may be outdated."""

    stale: NotRequired[StaleMark]


class StatusAnswer(TypedDict):
    """The answer of a probe."""

    status: str


class TaskPageAnswer(MarkedAnswer):
    """Tasks, newest first. `next` is the `page` of the next ones.

    A search also says how many tasks it looked at, out of how many.
    """

    tasks: list[TaskView]
    next: NotRequired[str]
    searched: NotRequired[int]
    total: NotRequired[int]
    whole: NotRequired[bool]


class TaskAnswer(TaskView, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A task with its attempts, and the ids of its reruns, newest first."""

    attempts: tuple[AttemptView, ...] = ()
    retried_as: tuple[str, ...] = ()
    timed_out: bool = False
    stale: JsonObject | None = None


class SuggestionsAnswer(TypedDict):
    """What may be written next in a query."""

    suggestions: list[Suggestion]


class CountsAnswer(MarkedAnswer):
    """How many tasks are in each state."""

    counts: dict[str, int]
    total: int


class WhyAnswer(MarkedAnswer):
    """Why a task makes no progress, and what to do."""

    task_id: str
    state: str
    reason: str
    message: str
    advice: NotRequired[str]
    queue: NotRequired[str]
    worker: NotRequired[str]
    workers_asked: int
    as_of: NotRequired[str]


class TreeAnswer(MarkedAnswer):
    """A task with its ancestors and descendants."""

    task_id: str
    root: str
    whole: bool
    tasks: list[JsonObject]


class GroupAnswer(MarkedAnswer):
    """A group or chain, and some of its members."""

    group_id: str
    total: int
    finished: int
    done: bool
    whole: bool
    percent: float | None
    counts: dict[str, int]
    tasks: list[TaskView]
    tasks_whole: bool
    message: str


class GroupsAnswer(MarkedAnswer):
    """The groups of the newest members."""

    groups: list[GroupOverview]
    searched: int
    whole: bool


class CancelAnswer(TypedDict):
    """The result of a cancel; `detail` repeats `message` if the task is unknown."""

    task_id: str
    status: str
    outcome: str
    message: str
    canceled_at: NotRequired[str]
    detail: NotRequired[str]


class GroupCancelAnswer(TypedDict):
    """The result of each member."""

    group_id: str
    outcomes: dict[str, int]
    tasks: list[CancelAnswer]
    whole: bool
    message: str


class WorkerPageAnswer(MarkedAnswer):
    """Workers by name. `next` is the `after` of the next ones."""

    workers: list[WorkerView]
    total: int
    states: dict[str, int]
    whole: bool
    next: NotRequired[str | None]


class QueuesAnswer(MarkedAnswer):
    """Queues as last measured."""

    queues: list[JsonObject]


class SeriesAnswer(MarkedAnswer):
    """Counts and runtimes in bins, and what happened to the installation."""

    window: str
    since: str
    until: str
    bin_seconds: int
    whole: bool
    bins: list[TimeBin]
    marks: list[Annotation]


class TypesAnswer(MarkedAnswer):
    """The types of the catalog and all names, with statistics of the day."""

    types: list[JsonObject]
    allowed_names: Any
    since: str
    until: str
    whole: bool


class FailingAnswer(MarkedAnswer):
    """Names with failures in the last minutes."""

    failing: list[FailureRate]
    until: str


class SuspectsAnswer(MarkedAnswer):
    """Tasks that need attention."""

    total: int
    counts: dict[str, int]
    whole: bool
    suspects: list[Suspect]


class SchedulesAnswer(MarkedAnswer):
    """Periodic tasks, the most urgent first."""

    schedules: list[JsonObject]
    total: int
    states: dict[str, int]
    sources: Any


class MarksAnswer(MarkedAnswer):
    """Marks, the newest first."""

    marks: list[Mark]


class DeletedRecord(TypedDict):
    """A mark or a silence that was deleted."""

    id: str
    message: str


class OrdersAnswer(TypedDict):
    """Orders, the newest first."""

    orders: list[Order]


class AuditAnswer(TypedDict):
    """Records of the audit log, the newest first."""

    orders: list[AuditRecord]


class EnvironmentsAnswer(TypedDict):
    """The environments that the token may use, and the present one."""

    environments: list[EnvironmentView]
    current: str


class Caller(TypedDict):
    """Who asks: `narrowed` if the token is for some tasks only."""

    name: str
    scopes: list[str]
    narrowed: bool


class PageAnswer(TypedDict):
    """The caller, and the links of tasks."""

    caller: Caller
    links: list[TaskLink]


class TokenView(TypedDict):
    """A minted token, without its text."""

    id: str
    name: str
    scopes: list[str]
    only: NotRequired[JsonObject]
    minted_at: str
    expires_at: str
    by: NotRequired[list[str]]


class MintedTokenAnswer(TokenView):
    """A minted token. Its text is shown only now."""

    token: str


class TokensAnswer(TypedDict):
    """Minted tokens that are valid."""

    tokens: list[TokenView]


class RevokedTokenAnswer(TypedDict):
    """A token that was revoked."""

    id: str
    revoked: bool


class WebhooksAnswer(TypedDict):
    """Endpoints with their status."""

    webhooks: list[JsonObject]


class DeadLettersAnswer(TypedDict):
    """Messages that were given up, the latest first."""

    dead: list[JsonObject]


class ReplayedAnswer(TypedDict):
    """Ids of the messages that are sent again."""

    replayed: list[str]
