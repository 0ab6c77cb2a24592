"""What each route takes and answers. A test holds this table to the routes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from herald_core.model.filters import KEYS
from herald_core.model.marks.mark import Mark
from herald_core.model.orders import Order
from herald_server.api.openapi import answers as out
from herald_server.api.openapi import requests as body
from herald_server.control.dismiss_worker import DismissResult
from herald_server.control.schedules import ScheduleResult
from herald_server.control.start.publisher import StartResult
from herald_server.insight.full_result import TaskResultDetail

JSON = "application/json"
TEXT = {"type": "string"}
SECONDS = {"type": "number", "minimum": 0}
TIME = {"type": "string", "format": "date-time"}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What one route takes and answers.

    `query` maps a parameter to its schema, `answers` a status to the type of its body
    (None: without one), in the media types `media`. `errors` are further statuses with
    a problem document. `is_public`: it needs no token.
    """

    query: Mapping[str, Mapping[str, Any]] = {}
    headers: Mapping[str, Mapping[str, Any]] = {}
    body: Any = None
    is_body_needed: bool = False
    answers: Mapping[int, Any] = MappingProxyType({200: dict[str, Any]})
    errors: tuple[int, ...] = ()
    media: tuple[str, ...] = (JSON,)
    is_public: bool = False
    group: str = ""


def count_up_to(most: int, least: int = 1) -> dict[str, Any]:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


FILTER_QUERY = {key: TEXT for key in KEYS}
PAGE_QUERY = {"after": TIME, "before": TIME, "limit": count_up_to(1000), "page": TEXT}
SEARCH_QUERY = {"q": TEXT, "sort": TEXT, "tz": TEXT}
WINDOW_QUERY = {"window": TEXT}
MARK_QUERY = {"mark": TEXT, "window": TEXT}
WAIT_QUERY = {"wait": SECONDS}
FINAL_OR_UNKNOWN = {200: out.TaskAnswer, 404: out.TaskAnswer}
ORDER = {200: Order, 202: Order}

TASKS, GROUPS, WORKERS, QUEUES = "Tasks", "Groups", "Workers", "Queues"
STATISTICS, SCHEDULES, DEPLOYS = "Statistics", "Periodic tasks", "Deploys"
ORDERS, TOKENS, WEBHOOKS, STREAMS = "Bulk orders", "Tokens", "Webhooks", "Streams"
ALERTS, PROBES, PAGES = "Alerts", "Probes", "Pages"
SIGN_IN = "Single sign-on"

V1 = "/api/v1"

TASK_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{V1}/tasks"): Operation(
        query={
            **FILTER_QUERY,
            **PAGE_QUERY,
            **SEARCH_QUERY,
            "stream": {"type": "string", "enum": ["1"]},
        },
        answers={200: out.TaskPageAnswer},
        media=(JSON, "application/x-ndjson"),
        group=TASKS,
    ),
    ("POST", f"{V1}/tasks"): Operation(
        body=body.StartBody,
        is_body_needed=True,
        answers={201: StartResult},
        errors=(428,),
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/export"): Operation(
        query={
            **FILTER_QUERY,
            **SEARCH_QUERY,
            "format": {"type": "string", "enum": ["csv", "json", "ndjson"]},
            "columns": TEXT,
            "limit": count_up_to(100_000),
            "after": TIME,
            "before": TIME,
        },
        answers={200: Any},
        media=("text/csv", JSON, "application/x-ndjson"),
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/suggest"): Operation(
        query={"q": TEXT, "limit": count_up_to(50)},
        answers={200: out.SuggestionsAnswer},
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/{{id}}"): Operation(answers=FINAL_OR_UNKNOWN, group=TASKS),
    ("GET", f"{V1}/tasks/{{id}}/wait"): Operation(
        query={"timeout": {"type": "number", "minimum": 0, "maximum": 60}},
        answers=FINAL_OR_UNKNOWN,
        group=TASKS,
    ),
    ("POST", f"{V1}/tasks/{{id}}/cancel"): Operation(
        answers={200: out.CancelAnswer, 404: out.CancelAnswer}, group=TASKS
    ),
    ("POST", f"{V1}/tasks/{{id}}/retry"): Operation(
        body=body.RetryBody,
        answers={201: StartResult},
        errors=(409, 428),
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/{{id}}/why"): Operation(
        answers={200: out.WhyAnswer}, group=TASKS
    ),
    ("GET", f"{V1}/tasks/{{id}}/tree"): Operation(
        answers={200: out.TreeAnswer}, group=TASKS
    ),
    ("GET", f"{V1}/tasks/{{id}}/result"): Operation(
        query={"most": count_up_to(100_000_000)},
        answers={200: TaskResultDetail},
        group=TASKS,
    ),
    ("GET", f"{V1}/groups"): Operation(
        query={"limit": count_up_to(1000)},
        answers={200: out.GroupsAnswer},
        group=GROUPS,
    ),
    ("GET", f"{V1}/groups/{{id}}"): Operation(
        query={"tasks": count_up_to(2000, 0)},
        answers={200: out.GroupAnswer},
        group=GROUPS,
    ),
    ("POST", f"{V1}/groups/{{id}}/cancel"): Operation(
        answers={200: out.GroupCancelAnswer}, group=GROUPS
    ),
    ("GET", f"{V1}/orders"): Operation(answers={200: out.OrdersAnswer}, group=ORDERS),
    ("POST", f"{V1}/orders"): Operation(
        body=body.BulkOrderBody,
        is_body_needed=True,
        answers={200: dict[str, Any], 201: Order},
        errors=(409,),
        group=ORDERS,
    ),
    ("GET", f"{V1}/orders/{{id}}"): Operation(answers={200: Order}, group=ORDERS),
    ("POST", f"{V1}/orders/{{id}}/stop"): Operation(answers={202: Order}, group=ORDERS),
}

FLEET_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{V1}/workers"): Operation(
        query={"limit": count_up_to(1000), "after": TEXT},
        answers={200: out.WorkerPageAnswer},
        group=WORKERS,
    ),
    ("GET", f"{V1}/workers/{{name}}"): Operation(group=WORKERS),
    ("DELETE", f"{V1}/workers/{{name}}"): Operation(
        answers={200: DismissResult}, errors=(409,), group=WORKERS
    ),
    ("GET", f"{V1}/workers/{{name}}/history"): Operation(
        query={"at": TIME, "window": SECONDS}, group=WORKERS
    ),
    ("POST", f"{V1}/workers/{{name}}/orders"): Operation(
        query=WAIT_QUERY,
        body=body.WorkerOrderBody,
        is_body_needed=True,
        answers=ORDER,
        errors=(409,),
        group=WORKERS,
    ),
    ("GET", f"{V1}/queues"): Operation(answers={200: out.QueuesAnswer}, group=QUEUES),
    ("POST", f"{V1}/queues/{{name}}/purge"): Operation(
        body=body.PurgeBody,
        is_body_needed=True,
        answers={200: Order},
        errors=(409, 501),
        group=QUEUES,
    ),
    ("POST", f"{V1}/queues/{{name}}/pause"): Operation(answers=ORDER, group=QUEUES),
    ("POST", f"{V1}/queues/{{name}}/resume"): Operation(answers=ORDER, group=QUEUES),
    ("GET", f"{V1}/schedules"): Operation(
        answers={200: out.SchedulesAnswer}, group=SCHEDULES
    ),
    ("GET", f"{V1}/schedules/{{id}}"): Operation(group=SCHEDULES),
    ("POST", f"{V1}/schedules/{{id}}/run"): Operation(
        body=body.ConfirmationBody,
        answers={201: StartResult},
        errors=(409, 428),
        group=SCHEDULES,
    ),
    ("POST", f"{V1}/schedules/{{id}}/{{action}}"): Operation(
        body=dict[str, Any], answers={200: ScheduleResult}, group=SCHEDULES
    ),
    ("GET", f"{V1}/environments"): Operation(
        answers={200: out.EnvironmentsAnswer}, group=STATISTICS
    ),
}

INSIGHT_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{V1}/stats"): Operation(
        answers={200: out.CountsAnswer}, group=STATISTICS
    ),
    ("GET", f"{V1}/health"): Operation(group=STATISTICS),
    ("GET", f"{V1}/page"): Operation(answers={200: out.PageAnswer}, group=STATISTICS),
    ("GET", f"{V1}/stats/series"): Operation(
        query={
            "window": {"type": "string", "enum": ["1h", "24h"]},
            "name": TEXT,
            "queue": TEXT,
        },
        answers={200: out.SeriesAnswer},
        group=STATISTICS,
    ),
    ("GET", f"{V1}/types"): Operation(answers={200: out.TypesAnswer}, group=STATISTICS),
    ("GET", f"{V1}/failing"): Operation(
        answers={200: out.FailingAnswer}, group=STATISTICS
    ),
    ("GET", f"{V1}/suspects"): Operation(
        answers={200: out.SuspectsAnswer}, group=STATISTICS
    ),
    ("GET", f"{V1}/overview"): Operation(query={"fields": TEXT}, group=STATISTICS),
    ("GET", f"{V1}/failures"): Operation(
        query={
            "window": TEXT,
            "name": TEXT,
            "after": TIME,
            "before": TIME,
            "limit": count_up_to(200),
        },
        group=STATISTICS,
    ),
    ("GET", f"{V1}/failures/{{fingerprint}}"): Operation(
        query=WINDOW_QUERY, group=STATISTICS
    ),
    ("GET", f"{V1}/marks"): Operation(answers={200: out.MarksAnswer}, group=DEPLOYS),
    ("POST", f"{V1}/marks"): Operation(
        body=body.MarkBody, is_body_needed=True, answers={201: Mark}, group=DEPLOYS
    ),
    ("DELETE", f"{V1}/marks/{{id}}"): Operation(
        answers={200: out.DeletedRecord}, group=DEPLOYS
    ),
    ("GET", f"{V1}/slower"): Operation(query=MARK_QUERY, errors=(404,), group=DEPLOYS),
    ("GET", f"{V1}/types/{{name}}/compare"): Operation(query=MARK_QUERY, group=DEPLOYS),
}

ALERT_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{V1}/alerts"): Operation(group=ALERTS),
    ("POST", f"{V1}/alerts/silences"): Operation(
        body=body.SilenceBody,
        is_body_needed=True,
        answers={201: dict[str, Any]},
        group=ALERTS,
    ),
    ("DELETE", f"{V1}/alerts/silences/{{id}}"): Operation(
        answers={200: out.DeletedRecord}, group=ALERTS
    ),
    ("POST", f"{V1}/alerts/test"): Operation(
        body=body.AlertTestBody, errors=(404, 409), group=ALERTS
    ),
}

ADMIN_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", f"{V1}/audit"): Operation(
        query={"limit": count_up_to(10_000)},
        answers={200: out.AuditAnswer},
        group=TOKENS,
    ),
    ("GET", f"{V1}/tokens"): Operation(answers={200: out.TokensAnswer}, group=TOKENS),
    ("POST", f"{V1}/tokens"): Operation(
        body=body.MintBody, answers={201: out.MintedTokenAnswer}, group=TOKENS
    ),
    ("DELETE", f"{V1}/tokens/{{id}}"): Operation(
        answers={200: out.RevokedTokenAnswer}, group=TOKENS
    ),
    ("GET", f"{V1}/webhooks"): Operation(
        answers={200: out.WebhooksAnswer}, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks"): Operation(
        body=body.WebhookBody,
        is_body_needed=True,
        answers={201: dict[str, Any]},
        group=WEBHOOKS,
    ),
    ("GET", f"{V1}/webhooks/{{id}}"): Operation(group=WEBHOOKS),
    ("DELETE", f"{V1}/webhooks/{{id}}"): Operation(answers={204: None}, group=WEBHOOKS),
    ("GET", f"{V1}/webhooks/{{id}}/dead"): Operation(
        query={"limit": count_up_to(1000)},
        answers={200: out.DeadLettersAnswer},
        group=WEBHOOKS,
    ),
    ("POST", f"{V1}/webhooks/{{id}}/replay"): Operation(
        body=body.ReplayBody, answers={202: out.ReplayedAnswer}, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks/{{id}}/rotate"): Operation(
        body=body.RotateBody, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks/{{id}}/enable"): Operation(group=WEBHOOKS),
}

_HTML = Operation(answers={200: str}, media=("text/html",), is_public=True, group=PAGES)
_PUBLIC_JSON = Operation(is_public=True, group=PAGES)
_METADATA = Operation(errors=(404,), is_public=True, group=STREAMS)
_PROBE = Operation(answers={200: out.StatusAnswer}, is_public=True, group=PROBES)

OTHER_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/events"): Operation(
        query={
            **FILTER_QUERY,
            "topic": TEXT,
            "mode": {"type": "string", "enum": ["changes", "events"]},
            "fields": TEXT,
            "limit": count_up_to(999_999_999, 0),
            "since": TEXT,
        },
        headers={"Last-Event-ID": TEXT},
        answers={200: str},
        media=("text/event-stream",),
        group=STREAMS,
    ),
    ("POST", "/mcp"): Operation(
        body=dict[str, Any],
        is_body_needed=True,
        answers={200: Any, 202: None, 400: Any},
        errors=(404, 406, 415),
        media=(JSON, "text/event-stream"),
        group=STREAMS,
    ),
    ("GET", "/"): _HTML,
    ("GET", "/docs"): _HTML,
    ("GET", "/herald.js"): Operation(
        answers={200: str}, media=("text/javascript",), is_public=True, group=PAGES
    ),
    ("GET", "/openapi.json"): _PUBLIC_JSON,
    ("GET", "/asyncapi.json"): _PUBLIC_JSON,
    ("GET", "/.well-known/oauth-protected-resource"): _METADATA,
    ("GET", "/.well-known/oauth-protected-resource/{path}"): _METADATA,
    ("GET", "/.well-known/oauth-authorization-server"): _METADATA,
    ("GET", "/.well-known/oauth-authorization-server/{path}"): _METADATA,
    ("GET", "/healthz"): _PROBE,
    ("GET", "/readyz"): _PROBE,
    ("GET", "/metrics"): Operation(
        answers={200: str},
        media=("text/plain", "application/openmetrics-text"),
        group=PROBES,
    ),
}

SIGN_IN_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/auth/session"): Operation(
        answers={200: dict[str, Any]}, is_public=True, group=SIGN_IN
    ),
    **{
        ("GET", path): Operation(
            answers={302: None},
            errors=(400, 401, 403, 404, 503),
            is_public=True,
            group=SIGN_IN,
        )
        for path in ("/auth/login", "/auth/password", "/auth/callback")
    },
    ("POST", "/auth/refresh"): Operation(
        answers={200: dict[str, Any]}, errors=(503,), group=SIGN_IN
    ),
    ("POST", "/auth/logout"): Operation(answers={200: dict[str, Any]}, group=SIGN_IN),
}

OPERATIONS: dict[tuple[str, str], Operation] = {
    **TASK_OPERATIONS,
    **FLEET_OPERATIONS,
    **INSIGHT_OPERATIONS,
    **ALERT_OPERATIONS,
    **ADMIN_OPERATIONS,
    **SIGN_IN_OPERATIONS,
    **OTHER_OPERATIONS,
}
"""Operations by method and path, in the order in which they are shown."""
