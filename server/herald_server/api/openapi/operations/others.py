"""Streams, MCP, pages and probes."""

from __future__ import annotations

from herald_server.api.openapi import requests as body
from herald_server.api.openapi.answers import admin as out
from herald_server.api.openapi.answers.common import StatusAnswer
from herald_server.api.openapi.operations.operation import (
    FILTER_QUERY,
    JSON,
    PAGES,
    PROBES,
    STREAMS,
    TEXT,
    Operation,
    OperationTable,
    count_up_to,
)

_HTML = Operation(answers={200: str}, media=("text/html",), is_public=True, group=PAGES)
_RESOURCE = Operation(
    answers={200: out.ResourceMetadata}, errors=(404,), is_public=True, group=STREAMS
)
_AUTHORIZATION = Operation(
    answers={200: out.AuthorizationMetadata},
    errors=(404,),
    is_public=True,
    group=STREAMS,
)
_PROBE = Operation(answers={200: StatusAnswer}, is_public=True, group=PROBES)

OTHER_OPERATIONS: OperationTable = {
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
        text="Stream the tasks of a filter and their changes as server-sent events.",
    ),
    ("POST", "/mcp"): Operation(
        body=body.JsonRpcBody,
        is_body_needed=True,
        answers={200: out.JsonRpcAnswer, 202: None, 400: out.JsonRpcAnswer},
        errors=(404, 406, 415),
        media=(JSON, "text/event-stream"),
        group=STREAMS,
        text="Receive a message of MCP over streamable HTTP, and answer it.",
    ),
    ("GET", "/"): _HTML,
    ("GET", "/docs"): _HTML,
    ("GET", "/herald.js"): Operation(
        answers={200: str}, media=("text/javascript",), is_public=True, group=PAGES
    ),
    ("GET", "/openapi.json"): Operation(
        answers={200: out.OpenApiDocument}, is_public=True, group=PAGES
    ),
    ("GET", "/asyncapi.json"): Operation(
        answers={200: out.AsyncApiDocument}, is_public=True, group=PAGES
    ),
    ("GET", "/.well-known/oauth-protected-resource"): _RESOURCE,
    ("GET", "/.well-known/oauth-protected-resource/{path}"): _RESOURCE,
    ("GET", "/.well-known/oauth-authorization-server"): _AUTHORIZATION,
    ("GET", "/.well-known/oauth-authorization-server/{path}"): _AUTHORIZATION,
    ("GET", "/healthz"): _PROBE,
    ("GET", "/readyz"): _PROBE,
    ("GET", "/metrics"): Operation(
        answers={200: str},
        media=("text/plain", "application/openmetrics-text"),
        group=PROBES,
    ),
}
