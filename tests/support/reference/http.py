"""The routes of the HTTP interface and their types, from the OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any

from herald_core.store.memory.store import MemoryStore
from herald_server.api.openapi.document import SCHEMAS, build_document
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from tests.support.reference.tables import (
    Schema,
    describe,
    describe_type,
    write_members,
)

GUIDES = {
    "Tasks": "[Search](#search), [the query language](query-language.md)",
    "Groups": "[Groups](../guides/use/groups.md)",
    "Bulk orders": "[Acting on many tasks](../guides/use/bulk-orders.md)",
    "Workers": "[Workers](../guides/use/workers.md)",
    "Queues": "[Queues](../guides/use/queues.md)",
    "Periodic tasks": "[Periodic tasks](../guides/use/periodic-tasks.md)",
    "Statistics": "[Statistics](#statistics), [Health](#health),"
    " [Failures by cause](../guides/use/failures.md)",
    "Deploys": "[Deploys](../guides/use/deploys.md)",
    "Alerts": "[Alerts](../guides/use/alerts.md)",
    "Tokens": "[Authentication and authorization](../guides/run/tokens.md)",
    "Webhooks": "[Webhooks](../guides/use/webhooks.md)",
    "Single sign-on": "[Single sign-on](../guides/run/single-sign-on.md)",
    "Streams": "[Event streams](events.md), [MCP tools](mcp.md),"
    " [Agents](../guides/use/agents.md)",
    "Probes": "[Metrics](metrics.md), [Operations](../guides/run/operations.md)",
}
"""By group, what else says something about it."""

ALWAYS = {"400", "401", "403", "404", "405", "413", "421", "429", "503"}
"""Errors that most routes have; see the page about errors."""

PROBLEM = "ProblemDocument"
SCOPE = re.compile(r"\n\nScope: `(\w+)`\.$")


def write_routes() -> str:
    """Return all routes by group, and the types of what they take and answer."""
    settings = ServerSettings(token="a-token-for-the-reference")
    document = build_document(create_app(settings, MemoryStore(), None).routes)
    schemas: dict[str, Schema] = document["components"]["schemas"]
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            text = "\n\n".join(_write_operation(method, path, operation))
            groups.setdefault(operation["tags"][0], []).append(text)
    parts = ["## Routes"]
    for group, operations in groups.items():
        parts += [f"### {group}", *_list_guides(group), *operations]
    parts.append("## Types")
    for name in sorted(schemas, key=str.lower):
        schema = schemas[name]
        parts += [f"### {name}", describe(schema), write_members(schema)]
    return "\n\n".join(part.strip() for part in parts if part)


def _list_guides(group: str) -> list[str]:
    return [f"See {GUIDES[group]}."] if group in GUIDES else []


def _write_operation(
    method: str, path: str, operation: dict[str, Any]
) -> Iterator[str]:
    yield f"#### {method.upper()} {path}"
    text = operation["description"]
    yield SCOPE.sub("", text)
    yield "\n".join(f"- {line}" for line in _list_facts(operation))


def _list_facts(operation: dict[str, Any]) -> Iterator[str]:
    scope = SCOPE.search(operation["description"])
    if scope:
        yield f"Scope: `{scope[1]}`"
    elif operation.get("security") == []:
        yield "Needs no token"
    for place, title in (("query", "Query"), ("header", "Headers")):
        given = [one for one in operation["parameters"] if one["in"] == place]
        if given:
            yield f"{title}: {', '.join(map(_describe_parameter, given))}"
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        may = "" if operation["requestBody"]["required"] else " (may be left out)"
        yield f"Body: {describe_type(content['schema'])}{may}"
    yield f"Answers: {'; '.join(_list_answers(operation['responses']))}"


def _describe_parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    name = f"`{parameter['name']}`"
    plain = schema == {"type": "string"}
    return name if plain else f"{name} ({_describe_value(schema)})"


def _describe_value(schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "time, RFC 3339"
    return describe_type(schema).replace("integer", "whole number")


def _list_answers(responses: dict[str, Any]) -> Iterator[str]:
    others: list[str] = []
    for status, answer in responses.items():
        media: dict[str, Any] = answer["content"]
        ref = SCHEMAS + PROBLEM
        own = {m: one["schema"] for m, one in media.items() if ref not in str(one)}
        if own:
            kinds = dict.fromkeys(
                describe_type(schema)
                if "json" in name and "ndjson" not in name
                else name
                for name, schema in own.items()
            )
            yield f"{status} {' or '.join(kinds)}"
        elif status < "400":
            yield status
        elif status not in ALWAYS:
            others.append(status)
    if others:
        yield f"also {', '.join(others)}"
