"""Operations on tasks, groups and orders for many of them."""

from __future__ import annotations

from herald_core.model.orders import Order
from herald_server.api.openapi import requests as body
from herald_server.api.openapi.answers import tasks as out
from herald_server.api.openapi.operations.operation import (
    FILTER_QUERY,
    GROUPS,
    JSON,
    ORDERS,
    PAGE_QUERY,
    SEARCH_QUERY,
    SECONDS,
    TASKS,
    TEXT,
    TIME,
    V1,
    Operation,
    OperationTable,
    count_up_to,
)
from herald_server.api.operator.search import MAX_SUGGESTIONS
from herald_server.api.task_details import MAX_GROUPS
from herald_server.api.tasks import MAX_WAIT_S
from herald_server.control.start.publisher import StartResult
from herald_server.insight.search.task_export import MAX_EXPORTED

FINAL_OR_UNKNOWN = {200: out.TaskAnswer, 404: out.TaskAnswer}

TASK_OPERATIONS: OperationTable = {
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
            "limit": count_up_to(MAX_EXPORTED),
            "after": TIME,
            "before": TIME,
        },
        answers={200: out.ExportAnswer},
        media=("text/csv", JSON, "application/x-ndjson"),
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/suggest"): Operation(
        query={"q": TEXT, "limit": count_up_to(MAX_SUGGESTIONS)},
        answers={200: out.SuggestionsAnswer},
        group=TASKS,
    ),
    ("GET", f"{V1}/tasks/{{id}}"): Operation(answers=FINAL_OR_UNKNOWN, group=TASKS),
    ("GET", f"{V1}/tasks/{{id}}/wait"): Operation(
        query={"timeout": {**SECONDS, "maximum": MAX_WAIT_S}},
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
        answers={200: out.ResultAnswer},
        group=TASKS,
    ),
    ("GET", f"{V1}/groups"): Operation(
        query={"limit": count_up_to(MAX_GROUPS)},
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
        answers={200: out.PreviewAnswer, 201: Order},
        errors=(409,),
        group=ORDERS,
    ),
    ("GET", f"{V1}/orders/{{id}}"): Operation(answers={200: Order}, group=ORDERS),
    ("POST", f"{V1}/orders/{{id}}/stop"): Operation(answers={202: Order}, group=ORDERS),
}
