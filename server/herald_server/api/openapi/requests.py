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


class OrderSelection(TypedDict, total=False):
    """Which tasks: `ids`, or those of a `filter` or `query` at the time `at`."""

    ids: list[str]
    filter: dict[str, str | list[str]]
    query: str
    after: str
    before: str
    at: str


class BulkOrderBody(OrderSelection):
    """Which tasks to retry or cancel; with `expect`, their number, it is done."""

    action: Literal["retry", "cancel"]
    expect: NotRequired[int]
    per_second: NotRequired[float]
    spread_seconds: NotRequired[float]
    include_rerun: NotRequired[bool]
    queue: NotRequired[str]
    idempotency_key: NotRequired[str]


class PurgeBody(TypedDict):
    """How many messages are expected to wait."""

    expect_depth: int


class WorkerOrderBody(TypedDict):
    """An order to a worker, and the parameters of its command."""

    command: str
    n: NotRequired[int]
    max: NotRequired[int]
    min: NotRequired[int]
    queue: NotRequired[str]
    exchange: NotRequired[str]
    exchange_type: NotRequired[Literal["direct", "topic", "fanout", "headers"]]
    routing_key: NotRequired[str]
    task_name: NotRequired[str]
    rate_limit: NotRequired[str | float]
    soft: NotRequired[float]
    hard: NotRequired[float]


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


class EmptyBody(TypedDict, total=False):
    """Nothing."""


class ConfirmationBody(TypedDict, total=False):
    """The `confirmation` of an answer 428."""

    confirmation: str


class MintBody(TypedDict, total=False):
    """The rights of a new token: at most the caller's, for `ttl` seconds."""

    scopes: list[Literal["read", "start", "cancel", "admin", "mark"]]
    only: dict[str, str | list[str]]
    hide: list[str]
    ttl: float | str
    label: str


class WebhookBody(TypedDict):
    """An endpoint: which changes of which tasks are posted to `url`."""

    url: str
    filter: NotRequired[dict[str, str | list[str]]]
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


class JsonRpcBody(TypedDict):
    """A message of MCP (JSON-RPC 2.0). A notification has no `id`."""

    jsonrpc: Literal["2.0"]
    method: str
    id: NotRequired[str | int]
    params: NotRequired[JsonObject]
