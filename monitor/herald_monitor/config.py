"""The monitor's settings: options, or environment variables `HERALD_*`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from herald_monitor.given_options import read_options
from herald_monitor.kept_queue import (
    DEFAULT_EXPIRES,
    DEFAULT_LENGTH,
    DEFAULT_NAME,
    DEFAULT_TTL,
    KeptQueue,
)
from herald_monitor.model.keys import DEFAULT_PREFIX, Apart
from herald_monitor.model.redaction import DEFAULT_KEYS
from herald_monitor.model.vector import MOST_PARTITIONS
from herald_monitor.model.workers import DRAIN_FOR, FORGET_AFTER
from herald_monitor.worker_limit import MAX_WORKERS

DAY = 86_400.0
DEFAULT_STORE = "redis://127.0.0.1:6379/0"


class MonitorSettings(BaseSettings):
    """How a monitor hears and keeps. Read once, at start."""

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
        description="Transport options of the broker that its URL does not carry, as a"
        " JSON object or `NAME=VALUE;NAME=VALUE`; otherwise those of the workers that"
        " answer.",
    )
    backend_options: Annotated[dict[str, object], NoDecode] = Field(
        default={}, description="The same for the result backend."
    )
    celery_settings: Annotated[dict[str, object], NoDecode] = Field(
        default={},
        description="Settings of Celery that no URL carries, such as `event_exchange`;"
        " written the same way.",
    )
    store_url: str = Field(
        default=DEFAULT_STORE,
        description="Where Herald keeps what it knows: Redis or Valkey; `redis://`,"
        " `rediss://`, `unix:///PATH?db=N`, `redis+sentinel://` or `redis+cluster://`.",
    )
    store_prefix: str = Field(
        default=DEFAULT_PREFIX,
        description="Of all keys in the store; one a Celery installation.",
    )
    partitions: int = Field(
        default=1,
        ge=1,
        le=MOST_PARTITIONS,
        description="Parts of the store, to spread over a cluster. Not to be changed"
        " later: what is stored stays where it is.",
    )
    retention: float = Field(
        default=DAY, gt=0, description="Seconds for which a finished task is kept."
    )
    keep_unfinished: float = Field(
        default=7 * DAY,
        gt=0,
        description="Seconds for which a task without an end is kept.",
    )
    log_length: int = Field(
        default=100_000,
        ge=100,
        description="Entries of the change log, for clients to resume.",
    )
    writers: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Processes that help to store events while more come than one"
        " can store, 40,000 to 80,000 a second; 0 for none. Otherwise half as many"
        " as there are processors, and two on two.",
    )
    lost_after: float = Field(
        default=60.0,
        gt=0,
        description="Seconds of silence after which what ran on a worker is lost.",
    )
    shutdown_grace: float = Field(
        default=DRAIN_FOR,
        ge=DRAIN_FOR,
        description="Seconds that a worker may take to finish what runs after its"
        " goodbye (a pod's terminationGracePeriodSeconds), before it counts as silent.",
    )
    forget_workers: float = Field(
        default=FORGET_AFTER,
        gt=0,
        description="Seconds after its last sign of life for which a silent or offline"
        " worker is shown, at least until it is decided what became of its tasks. A pod"
        " that its Kubernetes Deployment replaced goes sooner.",
    )
    max_workers: int = Field(
        default=MAX_WORKERS,
        ge=1,
        description="Workers that are shown. Beyond nine tenths of them those leave"
        " early that are gone, run nothing, and were heard longest ago; what workers"
        " under further names say of themselves is not taken.",
    )
    indexed_names: int = Field(
        default=Apart().name,
        ge=1,
        description="Names of tasks that the store indexes apart at a time. Tasks of"
        " further names are found as well, in an index of all of these together: a"
        " page takes longer. So it is with queues and tags, and with workers beyond"
        " `HERALD_MAX_WORKERS`. A place is free again once the last task is gone.",
    )
    indexed_queues: int = Field(
        default=Apart().queue, ge=1, description="The same of queues of tasks."
    )
    indexed_tags: int = Field(
        default=Apart().tag, ge=1, description="The same of tags of tasks."
    )
    queues_every: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds between two measures of the queues; 0 for never.",
    )
    reconcile_every: float = Field(
        default=10.0,
        gt=0,
        description="Seconds between looks at unfinished tasks that nothing was heard"
        " of; without a gap each of them is asked about ever less often.",
    )
    redact: Annotated[tuple[str, ...], NoDecode] = Field(
        default=DEFAULT_KEYS,
        description="Parts of key names whose values are cut out, separated by commas.",
    )
    listen_backend: bool = Field(
        default=True,
        description="Hear results as a Redis result backend stores them.",
    )
    durable_events: bool = Field(
        default=False,
        description="Let RabbitMQ keep events while the monitor is away.",
    )
    event_queue: str = Field(
        default=DEFAULT_NAME,
        min_length=1,
        max_length=120,
        description="Name of the durable queue. Monitors that share it take turns;"
        " each that keeps another store needs one of its own.",
    )
    event_queue_length: int = Field(
        default=DEFAULT_LENGTH,
        ge=1,
        description="Messages in the durable queue, beyond which the oldest go.",
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
    node: str | None = Field(
        default=None, description="Name of this monitor; otherwise host and process id."
    )

    @property
    def kept_queue(self) -> KeptQueue | None:
        """The durable queue for events, if there is to be one."""
        if not self.durable_events:
            return None
        return KeptQueue(
            self.event_queue,
            self.event_queue_length,
            self.event_queue_ttl,
            self.event_queue_expires,
        )

    @field_validator(
        "transport_options", "backend_options", "celery_settings", mode="before"
    )
    @classmethod
    def _read_options(cls, value: object) -> object:
        return read_options(value)

    @field_validator("redact", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
