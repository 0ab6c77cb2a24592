"""Operations on workers, queues, periodic tasks and environments."""

from __future__ import annotations

from herald_core.model.orders import Order
from herald_server.api.openapi import requests as body
from herald_server.api.openapi.answers import workers as out
from herald_server.api.openapi.operations.operation import (
    QUEUES,
    SCHEDULES,
    SECONDS,
    STATISTICS,
    TEXT,
    V1,
    WAIT_QUERY,
    WORKERS,
    Operation,
    OperationTable,
    count_up_to,
)
from herald_server.api.workers import MAX_WINDOW_S
from herald_server.control.dismiss_worker import DismissResult
from herald_server.control.schedules import ScheduleResult
from herald_server.control.start.publisher import StartResult
from herald_server.insight.worker_pages import MAX_WORKERS

ORDER = {200: Order, 202: Order}

FLEET_OPERATIONS: OperationTable = {
    ("GET", f"{V1}/workers"): Operation(
        query={"limit": count_up_to(MAX_WORKERS), "after": TEXT},
        answers={200: out.WorkerPageAnswer},
        group=WORKERS,
    ),
    ("GET", f"{V1}/workers/{{name}}"): Operation(
        answers={200: out.WorkerDetailAnswer}, group=WORKERS
    ),
    ("DELETE", f"{V1}/workers/{{name}}"): Operation(
        answers={200: DismissResult}, errors=(409,), group=WORKERS
    ),
    ("GET", f"{V1}/workers/{{name}}/history"): Operation(
        query={"at": TEXT, "window": {**SECONDS, "maximum": MAX_WINDOW_S}},
        answers={200: out.WorkerHistoryAnswer},
        group=WORKERS,
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
    ("GET", f"{V1}/schedules/{{id}}"): Operation(
        answers={200: out.ScheduleAnswer}, group=SCHEDULES
    ),
    ("POST", f"{V1}/schedules/{{id}}/run"): Operation(
        body=body.ConfirmationBody,
        answers={201: StartResult},
        errors=(409, 428),
        group=SCHEDULES,
    ),
    ("POST", f"{V1}/schedules/{{id}}/{{action}}"): Operation(
        body=body.EmptyBody, answers={200: ScheduleResult}, group=SCHEDULES
    ),
    ("GET", f"{V1}/environments"): Operation(
        answers={200: out.EnvironmentsAnswer}, group=STATISTICS
    ),
}
