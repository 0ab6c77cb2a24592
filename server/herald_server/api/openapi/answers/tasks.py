"""Bodies of answers about tasks, groups and orders for many of them."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from herald_core.model.orders import Order
from herald_core.model.tasks.views import AttemptView, TaskView
from herald_server.api.openapi.answers.common import MarkedAnswer, StaleMark
from herald_server.api.openapi.requests import OrderSelection
from herald_server.insight.full_result import TaskResultDetail
from herald_server.insight.groups.recent import GroupOverview
from herald_server.insight.search.export_rows import ExportSummary
from herald_server.insight.search.suggestions import Suggestion


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
    stale: StaleMark | None = None


class ResultAnswer(TaskResultDetail, frozen=True, kw_only=True, omit_defaults=True):
    """Outcome of a task, without secrets.

    `result` is the text of a Python `repr`; not `whole` if some or all of it is
    missing. `size` is in bytes, as stored in the backend. `source` is `backend` or
    `event`; `message` says what is missing and why.
    """

    stale: StaleMark | None = None


class ExportedTask(TaskView, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The requested columns of a task; `wait` is the time in the queue, in seconds."""

    id: str = ""
    wait: float | None = None


class ExportAnswer(TypedDict):
    """Exported tasks, each with the requested columns, and whether these are all."""

    tasks: list[ExportedTask]
    export: ExportSummary


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
    """A task with its ancestors and descendants, without their long values."""

    task_id: str
    root: str
    whole: bool
    tasks: list[TaskView]


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


class OrdersAnswer(TypedDict):
    """Orders, the newest first."""

    orders: list[Order]


class SkippedTasks(TypedDict):
    """Tasks that an order would leave as they are, and why."""

    outcome: str
    reason: str
    count: int


class ExampleTask(TypedDict):
    """One of the first tasks of an order; `outcome` if it would be left as it is."""

    id: str
    name: NotRequired[str]
    state: str
    args: NotRequired[str]
    kwargs: NotRequired[str]
    exception: NotRequired[str]
    outcome: NotRequired[str]


class PreviewAnswer(TypedDict):
    """What an order would do. Send it with the `count` as `expect` to carry it out.

    `acts_on` tasks would be sent again or cancelled, and `skipped` has the others by
    outcome. `selection` is what selects the tasks.
    """

    preview: bool
    action: str
    count: int
    acts_on: int
    by_name: dict[str, int]
    more_names: int
    by_state: dict[str, int]
    skipped: dict[str, int]
    reasons: list[SkippedTasks]
    ran_again: NotRequired[int]
    not_resendable: int
    examples: list[ExampleTask]
    selection: OrderSelection
    needs_admin: bool
    per_second: float
    seconds: float
    message: str
