"""Take arguments as models write them: null for a default, JSON in a text.

Only what cannot mean anything else is changed; all other mistakes get a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.types import CallToolRequestParams

FILTER_NAME = "filter"

Schema = Mapping[str, Any]


class ArgumentReader(Middleware):
    """Reads nulls and texts of JSON among the arguments of a call."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool."""
        asked = context.message
        if any(_is_suspect(value) for value in (asked.arguments or {}).values()):
            assert context.fastmcp_context is not None
            tool = await context.fastmcp_context.fastmcp.get_tool(asked.name)
            if tool is not None:
                read = read_arguments(asked.arguments or {}, tool.parameters)
                changed = asked.model_copy(update={"arguments": read})
                context = context.copy(message=changed)
        return await call_next(context)


def _is_suspect(value: object) -> bool:
    if isinstance(value, str):
        return value.lstrip()[:1] in ("{", "[")
    if isinstance(value, dict):
        return None in cast("dict[str, object]", value).values()
    return value is None


def read_arguments(given: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return `given` as the schema of a tool demands them. Pure."""
    properties: Schema = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        name: _remove_nulls(
            name, _read_json(value, list_types(properties.get(name, {})))
        )
        for name, value in given.items()
        if value is not None
        or name not in properties
        or name in required
        or "null" in list_types(properties[name])
    }


def _remove_nulls(name: str, value: object) -> object:
    """Return a filter without the keys that are null: strict modes fill in all."""
    if name != FILTER_NAME or not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value).items()
    return {key: one for key, one in pairs if one is not None}


def _read_json(value: object, types: set[str]) -> object:
    if not isinstance(value, str) or "string" in types:
        return value
    if not types & {"object", "array"}:
        return value
    try:
        read: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return cast("object", read) if isinstance(read, dict | list) else value


def list_types(schema: Schema) -> set[str]:
    """Return the JSON types that a schema allows."""
    found: set[str] = set()
    for one in (schema, *schema.get("anyOf", ())):
        named = one.get("type", ())
        found |= {named} if isinstance(named, str) else set(named)
    return found
