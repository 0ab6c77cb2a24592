"""Bodies of answers with figures, causes of failures, deploys and alerts."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from herald_core.model.alerts.alert import Alert
from herald_core.model.failures.summary import FailureDetail, FailureList
from herald_core.model.marks.mark import Mark
from herald_core.model.marks.views import NameComparison, SlowerNames
from herald_core.model.schedules.problems import ScheduleProblem
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import WorkerView
from herald_server.alerts.rules import AlertRule
from herald_server.api.openapi.answers.common import MarkedAnswer, StaleMark
from herald_server.api.openapi.answers.health import HealthReport
from herald_server.api.openapi.answers.workers import MeasuredQueue
from herald_server.insight.stats.by_name import TypeStats
from herald_server.insight.stats.failures import FailureRate, RecentStats
from herald_server.insight.stats.suspects import Suspect
from herald_server.insight.stats.timeseries import Annotation, TimeBin


class TimeSeries(TypedDict):
    """Counts and runtimes in bins, and what happened to the installation."""

    window: str
    since: str
    until: str
    bin_seconds: int
    whole: bool
    bins: list[TimeBin]
    marks: list[Annotation]


class SeriesAnswer(TimeSeries, MarkedAnswer):
    """Counts and runtimes in bins, and what happened to the installation."""


class TypesAnswer(MarkedAnswer):
    """The types of the catalog and all names, with statistics of the day."""

    types: list[TypeStats]
    allowed_names: list[str]
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


class ScheduleAlert(ScheduleProblem, frozen=True, kw_only=True, omit_defaults=True):
    """The worst problem of a periodic task.

    A silent scheduler is one for all `schedules` of its `source`.
    """

    id: str
    name: str
    schedules: int
    source: str | None = None


class OverviewAnswer(MarkedAnswer, total=False):
    """The first screen in one answer; with `fields` only these.

    `suspects_total` and `running_total` count all, also those that are not listed.
    Where `…_whole` is false, they are lower bounds.
    """

    as_of: str
    health: HealthReport
    counts: dict[str, int]
    total: int
    workers: list[WorkerView]
    workers_total: int
    workers_states: dict[str, int]
    workers_whole: bool
    queues: list[MeasuredQueue]
    names: list[RecentStats]
    lately_seconds: int
    failing: list[FailureRate]
    suspects: list[Suspect]
    suspects_total: int
    suspects_counts: dict[str, int]
    suspects_whole: bool
    schedules: list[ScheduleAlert]
    running: list[TaskView]
    running_total: int
    running_whole: bool
    series: TimeSeries


class FailuresAnswer(FailureList, frozen=True, kw_only=True, omit_defaults=True):
    """The causes of a window or of another range, the most frequent first.

    `total` is the number of causes, `count` and `retried` are attempts of all of them
    and of the `other` ones, which are not counted separately.
    """

    stale: StaleMark | None = None


class FailureAnswer(FailureDetail, frozen=True, kw_only=True, omit_defaults=True):
    """A cause with its spread. `tasks` is how many tasks are failed by it now.

    `worker_counts` are those of the newest `sampled` of them.
    """

    stale: StaleMark | None = None


class SlowerAnswer(SlowerNames, frozen=True, kw_only=True, omit_defaults=True):
    """The names that are slower since a mark, or fail more often; the worst first.

    `counts` has the number of names by the verdict on their runtime.
    """

    stale: StaleMark | None = None


class ComparisonAnswer(NameComparison, frozen=True, kw_only=True, omit_defaults=True):
    """A name before and after a mark. `message` says in a sentence what it shows."""

    stale: StaleMark | None = None


class MarksAnswer(MarkedAnswer):
    """Marks, the newest first."""

    marks: list[Mark]


class AlertView(Alert, frozen=True, kw_only=True, omit_defaults=True):
    """An alert, and as `sent` what became of its newest notice at each receiver."""

    sent: dict[str, str] | None = None
    updated_at: str
    rev: str | None = None


class SilenceView(TypedDict):
    """A silence of alerts until a time (RFC 3339); `*` and `?` are wild."""

    id: str
    rule: NotRequired[str]
    subject: NotRequired[str]
    until: str
    by: str
    comment: NotRequired[str]


class AlertsAnswer(MarkedAnswer):
    """Alerts, those that fire first, with the silences, receivers and rules."""

    alerts: list[AlertView]
    firing: int
    silences: list[SilenceView]
    receivers: list[str]
    rules: list[AlertRule]


class ReceiverResult(TypedDict):
    """What came of a test message; `error` is empty if it was taken."""

    receiver: str
    error: str | None


class AlertTestAnswer(TypedDict):
    """What came of a test of the receivers, and that as a sentence."""

    results: list[ReceiverResult]
    message: str
