"""The bodies of requests, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

JsonObject = dict[str, Any]


class SendOptionsBody(TypedDict, total=False):
    """How a task is sent: times are seconds or RFC 3339."""

    priority: int
    countdown: float
    eta: str
    expires: float | str
    queue: str
    tags: list[str]
    confirmation: str


class StartBody(SendOptionsBody):
    """A task of the catalog. The same `idempotency_key` starts it once."""

    task_type: str
    params: NotRequired[JsonObject]
    idempotency_key: NotRequired[str]


class RetryBody(SendOptionsBody):
    """How a finished task is sent again: with other `kwargs`, or its own."""

    kwargs: NotRequired[JsonObject]


class BulkOrderBody(TypedDict):
    """Which tasks to retry or cancel; with `expect`, their number, it is done."""

    action: str
    q: NotRequired[str]
    expect: NotRequired[int]


class PurgeBody(TypedDict):
    """How many messages are expected to wait."""

    expect_depth: int


class WorkerOrderBody(TypedDict):
    """An order to a worker, and its parameters."""

    command: str
    n: NotRequired[int]


class MarkBody(TypedDict):
    """A mark: now, or `at` a time (RFC 3339)."""

    what: str
    at: NotRequired[str]
    version: NotRequired[str]


SilenceBody = TypedDict(
    "SilenceBody",
    {"rule": str, "subject": str, "for": str, "comment": str},
    total=False,
)
"""Alerts that are not reported for a time such as `2h`; `*` and `?` are wild."""


class AlertTestBody(TypedDict, total=False):
    """The receiver to test; all by default."""

    receiver: str


class ConfirmationBody(TypedDict, total=False):
    """The `confirmation` of an answer 428."""

    confirmation: str


class MintBody(TypedDict, total=False):
    """The rights of a new token: at most the caller's, for `ttl` seconds."""

    scopes: list[Literal["read", "start", "cancel", "admin", "mark"]]
    only: JsonObject
    ttl: float
    label: str


class WebhookBody(TypedDict):
    """An endpoint: which changes of which tasks are posted to `url`."""

    url: str
    filter: NotRequired[JsonObject]
    on: NotRequired[str | list[str]]
    format: NotRequired[str]
    description: NotRequired[str]
    secret: NotRequired[str]


class ReplayBody(TypedDict, total=False):
    """The dead letters to send again; all by default."""

    ids: list[str]


class RotateBody(TypedDict, total=False):
    """Seconds for which the old secret stays valid."""

    keep: float
