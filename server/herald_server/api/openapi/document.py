"""Generate the OpenAPI document of an application's routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route

from herald_server.api.http.problems import MEDIA_TYPE as PROBLEM_TYPE
from herald_server.api.http.route_scopes import find_required_scope
from herald_server.api.openapi.answers.common import ProblemDocument
from herald_server.api.openapi.operations import OPERATIONS
from herald_server.api.openapi.operations.operation import JSON, Operation

SCHEMAS = "#/components/schemas/"
STRING = {"type": "string"}
"""The schema of what is no JSON."""

UNDOCUMENTED_PATHS = frozenset(["/api/v1/{rest}"])
"""Paths that only say that there is nothing."""

DESCRIPTION = (
    "Tasks of a Celery installation: what they are doing, the moment it changes. "
    "`/asyncapi.json` describes the WebSocket. Errors are problem documents (RFC 9457) "
    "whose `detail` says what to do. Clients ignore members that they do not know."
)
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_CODE_MARK = re.compile(r"\s+")

STATUS_TEXTS = {
    400: "A parameter or the body is wrong; of a query with `position` and"
    " `suggestion`",
    401: "No valid token; `WWW-Authenticate` says why",
    403: "The token lacks a scope, or is narrowed to some tasks; or the origin is not"
    " allowed",
    404: "Nothing is known of it",
    405: "Another method is needed; or the path has an escaped slash",
    406: "The answer cannot be had in a media type of `Accept`",
    408: "The request did not arrive in time",
    409: "Something changed meanwhile: another number of tasks is selected, or a worker"
    " is alive",
    413: "The body is too large",
    415: "The body is of another media type",
    421: "The `Host` is not one of Herald's names",
    428: "A person must confirm: send the same with `confirmation`",
    429: "A limit is reached; `Retry-After` says when to come back",
    501: "The broker cannot do it",
    503: "The store or the broker does not answer, none is known, or the server is full"
    " or starting",
}
"""What a status means, for every route that answers with it."""


def list_paths(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Route]]:
    """Yield method, path and route of what the document describes."""
    for route in routes:
        if not isinstance(route, Route):
            continue
        path = _PARAMETER.sub(r"{\1}", route.path)
        # An application as the endpoint takes every method; MCP's is POST.
        for method in sorted(route.methods or {"POST"}):
            if method != "HEAD" and path not in UNDOCUMENTED_PATHS:
                yield method, path, route


def build_document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the document of `routes`, without the server's address."""
    found = {(method, path): route for method, path, route in list_paths(routes)}
    order = {key: place for place, key in enumerate(OPERATIONS)}
    known = [
        (key, OPERATIONS.get(key, Operation(group="Others")))
        for key in sorted(found, key=lambda key: order.get(key, len(order)))
    ]
    refs, schemas = _build_schemas([one for _, one in known])
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), one in known:
        described = _describe_operation(method, path, found[method, path], one, refs)
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Herald",
            "version": version("celery-herald"),
            "description": DESCRIPTION,
        },
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in {one.group: 0 for _, one in known}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _list_types(operations: Iterable[Operation]) -> list[Any]:
    found: dict[int, Any] = {id(ProblemDocument): ProblemDocument}
    for one in operations:
        for kind in (one.body, *one.answers.values()):
            if kind is not None:
                found[id(kind)] = kind
    return list(found.values())


def _build_schemas(
    operations: Iterable[Operation],
) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """Return the schema of each type, by its id, and the shared components."""
    kinds = _list_types(operations)
    refs, schemas = msgspec.json.schema_components(
        kinds, ref_template=SCHEMAS + "{name}"
    )
    return {id(k): r for k, r in zip(kinds, refs, strict=True)}, schemas


def _describe_operation(
    method: str,
    path: str,
    route: Route,
    one: Operation,
    refs: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    text = one.text or cleandoc(route.endpoint.__doc__ or "")
    scope = find_required_scope(route.endpoint)
    described: dict[str, Any] = {
        "operationId": _make_id(method, path),
        "tags": [one.group],
        "summary": _CODE_MARK.sub(" ", text.split("\n\n")[0]),
        "description": text if scope is None else f"{text}\n\nScope: `{scope}`.",
        "parameters": list(_list_parameters(path, one)),
        "responses": _describe_answers(path, one, refs),
    }
    if one.is_public:
        described["security"] = []
    if one.body is not None:
        described["requestBody"] = {
            "required": one.is_body_needed,
            "content": {JSON: {"schema": refs[id(one.body)]}},
        }
    return described


def _make_id(method: str, path: str) -> str:
    words = re.findall(r"\w+", path.removeprefix("/api/v1/")) or ["page"]
    return method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _list_parameters(path: str, one: Operation) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(path):
        text = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": text}
    for name, schema in one.query.items():
        yield {"name": name, "in": "query", "schema": schema}
    for name, schema in one.headers.items():
        yield {"name": name, "in": "header", "schema": schema}


def _describe_answers(
    path: str, one: Operation, refs: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, kind in one.answers.items():
        media = () if kind is None else one.media
        answers[str(status)] = {
            "description": STATUS_TEXTS.get(status, "It is done"),
            "content": {
                name: {"schema": refs[id(kind)] if name == JSON else STRING}
                for name in media
            },
        }
    problem = {"schema": refs[id(ProblemDocument)]}
    for status in _list_errors(path, one):
        answer = answers.setdefault(
            str(status), {"description": STATUS_TEXTS[status], "content": {}}
        )
        answer["content"][PROBLEM_TYPE] = problem
    return dict(sorted(answers.items()))


def _list_errors(path: str, one: Operation) -> list[int]:
    found = {403, 421, 429, 503, *one.errors}
    if not one.is_public:
        found |= {400, 401}
    if "{" in path:
        found |= {404, 405}
    if one.body is not None:
        found.add(413)
    return sorted(found)
