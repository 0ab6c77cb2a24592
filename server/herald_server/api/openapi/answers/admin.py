"""Bodies of answers about tokens, sessions, webhooks, and documents of others."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from herald_server.api.openapi.answers.common import JsonObject
from herald_server.auth.audit import AuditRecord
from herald_server.catalog.links import TaskLink


class AuditAnswer(TypedDict):
    """Records of the audit log, the newest first."""

    orders: list[AuditRecord]


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
    """A minted token, without its text. `only`: a task must match all these filters."""

    id: str
    name: str
    scopes: list[str]
    only: NotRequired[list[dict[str, list[str]]]]
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


class SignInAnswer(TypedDict):
    """How one can sign in, and who has.

    `expires` is in unix seconds. `refusal` says why there is no session.
    """

    methods: list[str]
    caller: str | None
    expires: NotRequired[float | None]
    refusal: NotRequired[str]


class RefreshedSession(TypedDict):
    """Whose session was renewed, and until when (unix seconds)."""

    caller: str
    expires: float | None


class SignedOutAnswer(TypedDict):
    """Where the session of the provider ends; empty if it needs no visit."""

    url: str


class WebhookView(TypedDict):
    """An endpoint, without its secrets."""

    id: str
    url: str
    filter: dict[str, list[str]]
    on: list[str]
    format: str
    description: str
    origin: str
    created_at: NotRequired[str]


class WebhookSecretAnswer(WebhookView):
    """An endpoint with its newest secret, which is shown only now."""

    secret: str


class WebhookAnswer(WebhookView):
    """An endpoint with its status. Times are RFC 3339.

    `behind` is the number of changes that it has yet to get. `waiting` messages are
    pending, `late` of them failed before, and `dead` ones were given up and are kept.
    """

    cursor: NotRequired[str]
    accepted: int
    failed: int
    given_up: int
    resets: int
    waiting: int
    late: int
    dead: int
    behind: NotRequired[int]
    breaker: str
    until: NotRequired[str]
    oldest_at: NotRequired[str]
    last_success_at: NotRequired[str]
    last_failure_at: NotRequired[str]
    last_error: NotRequired[str]
    disabled_at: NotRequired[str]
    disabled_why: NotRequired[str]


class WebhooksAnswer(TypedDict):
    """Endpoints with their status."""

    webhooks: list[WebhookAnswer]


class DeadLetter(TypedDict):
    """A message that was given up, `body` as it was sent, and why."""

    id: str
    type: str
    task_id: str
    timestamp: str
    attempts: int
    first_tried_at: str
    why: str
    body: Any


class DeadLettersAnswer(TypedDict):
    """Messages that were given up, the latest first."""

    dead: list[DeadLetter]


class ReplayedAnswer(TypedDict):
    """Ids of the messages that are sent again."""

    replayed: list[str]


class DocumentInfo(TypedDict):
    """Whose interface a document describes."""

    title: str
    version: str
    description: str


class OpenApiDocument(TypedDict):
    """An OpenAPI 3.1 document."""

    openapi: str
    info: DocumentInfo
    paths: dict[str, JsonObject]
    components: dict[str, JsonObject]


class AsyncApiDocument(TypedDict):
    """An AsyncAPI 3.0 document."""

    asyncapi: str
    info: DocumentInfo
    defaultContentType: str
    channels: dict[str, JsonObject]
    operations: dict[str, JsonObject]
    components: dict[str, JsonObject]
    servers: dict[str, JsonObject]


class ResourceMetadata(TypedDict):
    """A protected resource and its authorization servers (RFC 9728)."""

    resource: str
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: list[str]
    resource_name: str


class AuthorizationMetadata(TypedDict):
    """An authorization server (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: NotRequired[str]
    revocation_endpoint: NotRequired[str]
    scopes_supported: NotRequired[list[str]]
    response_types_supported: list[str]
    grant_types_supported: NotRequired[list[str]]
    token_endpoint_auth_methods_supported: NotRequired[list[str]]
    revocation_endpoint_auth_methods_supported: NotRequired[list[str]]
    code_challenge_methods_supported: NotRequired[list[str]]


class JsonRpcAnswer(TypedDict):
    """A message of MCP (JSON-RPC 2.0): the `result` of a request, or its `error`."""

    jsonrpc: Literal["2.0"]
    id: NotRequired[str | int | None]
    result: NotRequired[JsonObject]
    error: NotRequired[JsonObject]
