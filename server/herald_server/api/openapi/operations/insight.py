"""Operations on figures, failures, deploys and alerts."""

from __future__ import annotations

from herald_core.model.marks.mark import Mark
from herald_server.api.openapi import requests as body
from herald_server.api.openapi.answers import insight as out
from herald_server.api.openapi.answers.admin import PageAnswer
from herald_server.api.openapi.answers.common import DeletedRecord
from herald_server.api.openapi.answers.health import HealthAnswer
from herald_server.api.openapi.answers.tasks import CountsAnswer
from herald_server.api.openapi.operations.operation import (
    ALERTS,
    DEPLOYS,
    MARK_QUERY,
    STATISTICS,
    TEXT,
    TIME,
    V1,
    WINDOW_QUERY,
    Operation,
    OperationTable,
    count_up_to,
)
from herald_server.insight.failures.reader import MAX_LIMIT

INSIGHT_OPERATIONS: OperationTable = {
    ("GET", f"{V1}/stats"): Operation(answers={200: CountsAnswer}, group=STATISTICS),
    ("GET", f"{V1}/health"): Operation(answers={200: HealthAnswer}, group=STATISTICS),
    ("GET", f"{V1}/page"): Operation(answers={200: PageAnswer}, group=STATISTICS),
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
    ("GET", f"{V1}/overview"): Operation(
        query={"fields": TEXT}, answers={200: out.OverviewAnswer}, group=STATISTICS
    ),
    ("GET", f"{V1}/failures"): Operation(
        query={
            "window": TEXT,
            "name": TEXT,
            "after": TIME,
            "before": TIME,
            "limit": count_up_to(MAX_LIMIT),
        },
        answers={200: out.FailuresAnswer},
        group=STATISTICS,
    ),
    ("GET", f"{V1}/failures/{{fingerprint}}"): Operation(
        query=WINDOW_QUERY, answers={200: out.FailureAnswer}, group=STATISTICS
    ),
    ("GET", f"{V1}/marks"): Operation(answers={200: out.MarksAnswer}, group=DEPLOYS),
    ("POST", f"{V1}/marks"): Operation(
        body=body.MarkBody, is_body_needed=True, answers={201: Mark}, group=DEPLOYS
    ),
    ("DELETE", f"{V1}/marks/{{id}}"): Operation(
        answers={200: DeletedRecord}, group=DEPLOYS
    ),
    ("GET", f"{V1}/slower"): Operation(
        query=MARK_QUERY,
        answers={200: out.SlowerAnswer},
        errors=(404,),
        group=DEPLOYS,
    ),
    ("GET", f"{V1}/types/{{name}}/compare"): Operation(
        query=MARK_QUERY, answers={200: out.ComparisonAnswer}, group=DEPLOYS
    ),
}

ALERT_OPERATIONS: OperationTable = {
    ("GET", f"{V1}/alerts"): Operation(answers={200: out.AlertsAnswer}, group=ALERTS),
    ("POST", f"{V1}/alerts/silences"): Operation(
        body=body.SilenceBody,
        is_body_needed=True,
        answers={201: out.SilenceView},
        group=ALERTS,
    ),
    ("DELETE", f"{V1}/alerts/silences/{{id}}"): Operation(
        answers={200: DeletedRecord}, group=ALERTS
    ),
    ("POST", f"{V1}/alerts/test"): Operation(
        body=body.AlertTestBody,
        answers={200: out.AlertTestAnswer},
        errors=(404, 409),
        group=ALERTS,
    ),
}
