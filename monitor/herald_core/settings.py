"""The monitor's settings: options, or environment variables `HERALD_*`."""

from __future__ import annotations

import json
from collections.abc import Container
from itertools import pairwise
from pathlib import Path
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from herald_core.model.events.redaction import DEFAULT_KEYS
from herald_core.model.index_limits import IndexLimits
from herald_core.model.rollups.counter_delta import DEFAULT_COUNTER_RULES
from herald_core.model.schedules.spec import DEFAULT_GRACE_S
from herald_core.model.vector_cursor import MAX_PARTITIONS
from herald_core.model.workers.worker import DRAIN_TIMEOUT_S, FORGET_AFTER_S
from herald_core.system.options_text import read_options
from herald_core.system.setting_files import FileSettingsSource

DEFAULT_PREFIX = "{herald}"

MAX_WORKERS = 5_000
"""The default maximum number of workers: a store takes up to 1 KB for each."""

DEFAULT_NAME = "herald"
DEFAULT_LENGTH = 1_000_000
DEFAULT_TTL = 3_600.0
DEFAULT_EXPIRES = 86_400.0

DEFAULT_OUTBOX_STREAM = "herald:outbox"
DEFAULT_OUTBOX_GROUP = "herald"
DEFAULT_OUTBOX_KEEP = 3_600.0
MAX_OUTBOX_STREAMS = 64

DAY_S = 86_400.0
DEFAULT_STORE_URL = "redis://127.0.0.1:6379/0"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_bounds(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if not bounds or bounds[0] <= 0 or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError("must be seconds above 0 that rise, such as 0.1,1,10")
    return bounds


BoundList = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    NoDecode,
    BeforeValidator(_split),
    AfterValidator(_check_bounds),
]
"""Upper bounds of buckets, separated by commas."""

TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Texts separated by commas."""


class MonitorSettings(BaseSettings):
    """The settings of a monitor. Read once, at start."""

    model_config = SettingsConfigDict(
        env_prefix="HERALD_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    broker_url: str | None = Field(default=None, description="Celery's broker.")
    result_backend: str | None = Field(
        default=None, description="Celery's result backend."
    )
    app: str | None = Field(
        default=None,
        description="A Celery app as of `celery -A`; instead of the two URLs.",
    )
    transport_options: Annotated[dict[str, object], NoDecode] = Field(
        default={},
        description="Transport options of the broker that are not in its URL, as a"
        " JSON object or `NAME=VALUE;NAME=VALUE`; by default those of"
        " the workers that answer.",
    )
    backend_options: Annotated[dict[str, object], NoDecode] = Field(
        default={}, description="The same for the result backend."
    )
    celery_settings: Annotated[dict[str, object], NoDecode] = Field(
        default={},
        description="Celery settings that are in no URL, such as `event_exchange`;"
        " in the same format.",
    )
    store_url: str = Field(
        default=DEFAULT_STORE_URL,
        description="Store of Herald's data, Redis or Valkey: `redis://`,"
        " `rediss://`, `unix:///PATH?db=N`, `redis+sentinel://` or"
        " `redis+cluster://`.",
    )
    store_prefix: str = Field(
        default=DEFAULT_PREFIX,
        description="Prefix of all keys in the store; one for each Celery"
        " installation.",
    )
    partitions: int = Field(
        default=1,
        ge=1,
        le=MAX_PARTITIONS,
        description="Partitions of the store, to spread it over a cluster. Do not"
        " change it later: stored data is not moved.",
    )
    retention: float = Field(
        default=DAY_S, gt=0, description="Seconds for which a finished task is kept."
    )
    keep_unfinished: float = Field(
        default=7 * DAY_S,
        gt=0,
        description="Seconds for which a task without an end is kept.",
    )
    log_length: int = Field(
        default=100_000,
        ge=100,
        description="Entries of the change log, from which clients resume.",
    )
    writers: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Writer processes that start when more events arrive than one"
        " process can store (40,000 to 80,000 a second); 0 for none. By"
        " default half the number of processors, and two on two.",
    )
    lost_after: float = Field(
        default=60.0,
        gt=0,
        description="Seconds without a heartbeat after which the tasks of a worker"
        " count as lost.",
    )
    shutdown_grace: float = Field(
        default=DRAIN_TIMEOUT_S,
        ge=DRAIN_TIMEOUT_S,
        description="Seconds that a worker may take to finish its tasks after"
        " `worker-offline` (a pod's terminationGracePeriodSeconds),"
        " before it counts as silent.",
    )
    forget_workers: float = Field(
        default=FORGET_AFTER_S,
        gt=0,
        description="Seconds after its last event for which a silent or offline"
        " worker is shown, at least until the outcome of its tasks is"
        " decided. A pod that its Kubernetes Deployment replaced is"
        " removed sooner.",
    )
    max_workers: int = Field(
        default=MAX_WORKERS,
        ge=1,
        description="Maximum number of workers. Above nine tenths of it, offline"
        " workers without tasks are removed early, the oldest first;"
        " events of workers with further names are refused.",
    )
    indexed_names: int = Field(
        default=IndexLimits().name,
        ge=1,
        description="Maximum number of task names with an index of their own. Tasks"
        " of further names share one index, where a page takes longer."
        " The same applies to queues, tags, and workers beyond"
        " `HERALD_MAX_WORKERS`. A place is free again once its last"
        " task has expired.",
    )
    indexed_queues: int = Field(
        default=IndexLimits().queue, ge=1, description="The same for queues of tasks."
    )
    indexed_tags: int = Field(
        default=IndexLimits().tag, ge=1, description="The same for tags of tasks."
    )
    queues_every: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds between two measurements of the queues; 0 for never.",
    )
    reconcile_every: float = Field(
        default=10.0,
        gt=0,
        description="Seconds between two checks of unfinished tasks without recent"
        " events; without a gap each task is checked less and less"
        " often.",
    )
    schedules_every: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="Seconds between two checks of the schedules of periodic tasks; 0"
        " for never.",
    )
    schedules_grace: float = Field(
        default=DEFAULT_GRACE_S,
        ge=1,
        le=86_400,
        description="Seconds after its due time within which a periodic task must be"
        " submitted and started; for one schedule `grace` in `[schedules.NAME]`.",
    )
    metrics_series: int = Field(
        default=DEFAULT_COUNTER_RULES.max_series,
        ge=1,
        le=100_000,
        description="Maximum number of combinations of task name, queue, host and"
        " exception that `/metrics` counts apart; events of further ones count as"
        " `(other)`. About 40 lines each.",
    )
    metrics_hosts: bool = Field(
        default=True,
        description="Whether `/metrics` tells the hosts of tasks apart; 0 counts them"
        " together as `generic`, such as where pods come and go.",
    )
    metrics_retention: float = Field(
        default=DEFAULT_COUNTER_RULES.retention_s,
        gt=0,
        description="Seconds after its last event for which `/metrics` shows such a"
        " combination.",
    )
    metrics_runtime_buckets: BoundList = Field(
        default=DEFAULT_COUNTER_RULES.runtime_buckets,
        description="Upper bounds in seconds of the buckets of"
        " `celery_task_runtime`, separated by commas.",
    )
    metrics_wait_buckets: BoundList = Field(
        default=DEFAULT_COUNTER_RULES.wait_buckets,
        description="The same of `celery_task_queue_wait_time`.",
    )
    redact: TextList = Field(
        default=DEFAULT_KEYS,
        description="Parts of key names whose values are redacted, separated by"
        " commas.",
    )
    listen_backend: bool = Field(
        default=True,
        description="Receive results as a Redis result backend stores them.",
    )
    durable_events: bool = Field(
        default=False,
        description="Let RabbitMQ store events while the monitor is down.",
    )
    event_queue: str = Field(
        default=DEFAULT_NAME,
        min_length=1,
        max_length=120,
        description="Name of the durable queue. Monitors that share it take turns;"
        " each store needs a queue of its own.",
    )
    event_queue_length: int = Field(
        default=DEFAULT_LENGTH,
        ge=1,
        description="Maximum number of messages in the durable queue; the oldest"
        " are dropped.",
    )
    event_queue_ttl: float = Field(
        default=DEFAULT_TTL,
        gt=0,
        description="Seconds that a message stays in the durable queue.",
    )
    event_queue_expires: float = Field(
        default=DEFAULT_EXPIRES,
        gt=0,
        description="Seconds after which an unread durable queue is deleted.",
    )
    outbox_url: str | None = Field(
        default=None,
        description="The Redis to which workers write their outbox; the broker, if that"
        " is Redis. Also `redis+sentinel://` and `redis+cluster://`.",
    )
    outbox_stream: str = Field(
        default=DEFAULT_OUTBOX_STREAM,
        min_length=1,
        max_length=200,
        description="Name of the outbox's stream, the same as in the workers; of"
        " several streams what their names begin with.",
    )
    outbox_streams: int = Field(
        default=1,
        ge=1,
        le=MAX_OUTBOX_STREAMS,
        description="Streams of the outbox, the same number as in the workers: more"
        " than one spreads the events over a cluster.",
    )
    outbox_group: str = Field(
        default=DEFAULT_OUTBOX_GROUP,
        min_length=1,
        max_length=120,
        description="Consumer group of the outbox. Monitors of one store share it; each"
        " store needs one of its own.",
    )
    outbox_keep: float = Field(
        default=DEFAULT_OUTBOX_KEEP,
        ge=0,
        description="Seconds for which entries of the outbox stay that all groups have"
        " read, for `herald replay --from-outbox`.",
    )
    catalog: Path | None = Field(
        default=None,
        description="A herald.toml: the task types that may be started, arguments"
        " that are indexed (`[index]`), and periodic tasks (`[schedules]`).",
    )
    node: str | None = Field(
        default=None,
        description="Name of this monitor; by default host and process id.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, the first of which has precedence."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, FileSettingsSource(settings_cls)

    def to_env(self, names: Container[str] | None = None) -> dict[str, str]:
        """Return environment variables from which a child process reads these settings.

        Only those of `names`, or all. Unset settings are omitted: the child has the
        same defaults.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {
            f"HERALD_{name.upper()}": _to_text(value)
            for name, value in given.items()
            if value is not None and (names is None or name in names)
        }

    @field_validator(
        "transport_options", "backend_options", "celery_settings", mode="before"
    )
    @classmethod
    def _read_options(cls, value: object) -> object:
        return read_options(value)


def _to_text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return str(value)
