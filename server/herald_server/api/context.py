"""The context of a server process: the objects that all APIs share."""

from __future__ import annotations

from functools import cached_property

import msgspec

from herald_core.model.rollups.counter_delta import DEFAULT_COUNTER_RULES
from herald_core.store.key_value import MemoryKeyValueStore
from herald_core.store.ports import Store
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.alerts.book import AlertBook
from herald_server.alerts.receivers import AlertSettings
from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import DEFAULT_ENVIRONMENT
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import AccountRegistry
from herald_server.catalog.catalog import Catalog
from herald_server.catalog.links import TaskLink
from herald_server.control.bulk.build import Bulk
from herald_server.control.control import Control
from herald_server.control.marks import MarkBook
from herald_server.control.schedules import ScheduleOrders
from herald_server.control.workers.service import WorkerControl
from herald_server.insight.deploys.comparer import DeployComparer
from herald_server.insight.environments import EnvironmentDirectory
from herald_server.insight.failures.minutes import FailureMinutes
from herald_server.insight.failures.reader import FailureReader
from herald_server.insight.groups.reader import GroupReader
from herald_server.insight.groups.sizes import GroupSizeStore
from herald_server.insight.schedules.reader import ScheduleReader
from herald_server.insight.search.suggester import QuerySuggester
from herald_server.insight.search.task_search import TaskSearch
from herald_server.insight.stats.rollup_cache import RollupCache
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.session.follow import TaskWaiter
from herald_server.push.status import ServerStatus
from herald_server.webhooks.admin import WebhookAdmin


def _make_audit() -> AuditLog:
    return AuditLog(MemoryKeyValueStore())


class RetentionSettings(msgspec.Struct, frozen=True):
    """Retention of tasks in seconds: after their end, or after their last event."""

    finished: float = 86_400.0
    unfinished: float = 604_800.0


class CeleryMetricsOptions(msgspec.Struct, frozen=True):
    """How the metrics are shown: bounds of buckets in seconds, and the name of the
    queue of tasks whose queue is not known."""

    runtime_buckets: tuple[float, ...] = DEFAULT_COUNTER_RULES.runtime_buckets
    wait_buckets: tuple[float, ...] = DEFAULT_COUNTER_RULES.wait_buckets
    default_queue: str = "celery"


class ServerContext(msgspec.Struct, frozen=True, dict=True):
    """The store, its readers, and the publisher of tasks (if any).

    `store` is the one that APIs read: restricted to what the caller may see.
    """

    store: Store
    hub: Hub
    log_reader: LogReader
    status: ServerStatus
    control: Control | None = None
    node: str = ""
    metrics: PushMetrics = msgspec.field(default_factory=PushMetrics)
    accounts: AccountRegistry = msgspec.field(default_factory=AccountRegistry)
    """Resource use of each token in this process."""
    webhooks: WebhookAdmin | None = None
    """Where webhooks are registered, if this process serves others."""
    audit: AuditLog = msgspec.field(default_factory=_make_audit)
    backend: ResultBackend | None = None
    """The result backend, queried on demand. None without a Celery app."""
    bulk: Bulk | None = None
    """Bulk orders, if this process can send to Celery."""
    retention: RetentionSettings = RetentionSettings()
    worker_control: WorkerControl | None = None
    """Describes workers, gives them orders, and pauses queues. None without an app."""
    links: tuple[TaskLink, ...] = ()
    """Links of each task to logs, traces and error trackers."""
    types: Catalog = msgspec.field(default_factory=Catalog.load_shipped)
    """The task types that are known where nothing can be sent."""

    celery_metrics: CeleryMetricsOptions = CeleryMetricsOptions()
    """How `/metrics` shows what celery-exporter shows."""
    environments: EnvironmentDirectory = msgspec.field(
        default_factory=EnvironmentDirectory
    )
    """All environments of this process."""
    environment: str = DEFAULT_ENVIRONMENT
    """The name of this one."""

    alert_settings: AlertSettings = AlertSettings()
    """The rules of alerts, and their receivers."""

    @cached_property
    def alerts(self) -> AlertBook:
        """The alerts and their silences."""
        return AlertBook(self.store, self.alert_settings, self.audit)

    @cached_property
    def rollups(self) -> RollupCache:
        """Rollups of the last day, of all tasks."""
        return RollupCache(self.store)

    @cached_property
    def failure_minutes(self) -> FailureMinutes:
        """Failures of the last day by cause, of all tasks."""
        return FailureMinutes(self.store)

    @cached_property
    def failures(self) -> FailureReader:
        """The causes of failures."""
        return FailureReader(self.store, self.failure_minutes)

    @cached_property
    def schedules(self) -> ScheduleReader:
        """The schedules of periodic tasks."""
        return ScheduleReader(self.store)

    @cached_property
    def schedule_orders(self) -> ScheduleOrders:
        """What marks and runs schedules."""
        return ScheduleOrders(self.store, self.schedules, self.audit, self.control)

    @cached_property
    def waiter(self) -> TaskWaiter:
        """The requests that wait for a task."""
        return TaskWaiter(self.hub, self.store)

    @cached_property
    def groups(self) -> GroupReader:
        """Groups and chains, as the caller may see them."""
        return GroupReader(self.store, GroupSizeStore(self.store, self.backend))

    @cached_property
    def search(self) -> TaskSearch:
        """The tasks of a query, as the caller may see them."""
        return TaskSearch(self.store)

    @cached_property
    def suggester(self) -> QuerySuggester:
        """What may be written next in a query, as the caller may see it."""
        return QuerySuggester(
            self.store, self.search, self.rollups, lambda: self.catalog
        )

    @property
    def catalog(self) -> Catalog:
        """The known task types, startable or not."""
        return self.control.catalog if self.control else self.types

    @cached_property
    def marks(self) -> MarkBook:
        """Sets and deletes marks."""
        return MarkBook(self.store, self.audit)

    @cached_property
    def deploys(self) -> DeployComparer:
        """What became slower since a mark."""
        return DeployComparer(self.store, self.rollups)
