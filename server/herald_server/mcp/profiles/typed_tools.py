"""What the catalog says of the tools that start tasks: types, parameters, own tools.

Many clients show their model the tools, but no resources, and strict modes take no
objects of unknown keys. The catalog may change while the server runs, so all this is
made for each listing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from fastmcp.tools import Tool

from herald_server.catalog.catalog import Catalog, Param, TaskType

START_TOOL = "start_background_task"
MEMBER_TOOLS = ("start_task_group", "start_task_chain")
PREFIX = "start_"

MAX_ENUM = 100
"""Task types beyond which they are not listed in a schema."""

MAX_NAME_CHARS = 64
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")

Schema = dict[str, Any]


def list_closed(catalog: Catalog) -> list[TaskType]:
    """Return the types, if no other can be started; else nothing."""
    kinds = [kind for kind in catalog if kind.startable]
    if catalog.allowed_names or len(kinds) > MAX_ENUM:
        return []
    return kinds


def add_catalog_types(tool: Tool, kinds: list[TaskType]) -> Tool:
    """Return a tool that starts tasks, with the task types of a closed catalog."""
    if not kinds or tool.name not in (START_TOOL, *MEMBER_TOOLS):
        return tool
    properties: Schema = dict(tool.parameters["properties"])
    if tool.name == START_TOOL:
        properties |= _make_properties(kinds, properties)
    else:
        item = {
            "type": "object",
            "properties": _make_properties(kinds, {}),
            "required": ["task_type"],
            "additionalProperties": False,
        }
        properties["tasks"] = {**properties["tasks"], "items": item}
    parameters = {**tool.parameters, "properties": properties}
    return tool.model_copy(update={"parameters": parameters})


def _make_properties(kinds: list[TaskType], known: Schema) -> Schema:
    names = [kind.name for kind in kinds]
    task_type = {**known.get("task_type", {"type": "string"}), "enum": names}
    params: Schema = {"default": None, **known.get("params", {})}
    if any(kind.any_params for kind in kinds):
        params.setdefault("type", "object")
        return {"task_type": task_type, "params": params}
    params.pop("anyOf", None)
    shown: Schema = {"type": "object", "properties": _join_params(kinds)}
    shown["additionalProperties"] = False
    params["anyOf"] = [shown, {"type": "null"}]
    return {"task_type": task_type, "params": params}


def _join_params(kinds: Iterable[TaskType]) -> Schema:
    """Return the parameters of all types by name; null stands for the default.

    They are described with their type in the text of the tool.
    """
    joined: dict[str, list[Schema]] = {}
    for param in (param for kind in kinds for param in kind.params):
        schema = _strip(param)
        if schema not in joined.setdefault(param.name, []):
            joined[param.name].append(schema)
    return {
        name: {"anyOf": [*schemas, {"type": "null"}]} if all(schemas) else {}
        for name, schemas in joined.items()
    }


def _strip(param: Param) -> Schema:
    if param.type == "any":
        return {}
    kept = {"type": param.type}
    whole = cast("Mapping[str, Any]", param.json_schema())
    enum = [one for one in whole.get("enum", ()) if one is not None]
    return {**kept, "enum": enum} if enum else kept


def make_tool_name(kind: TaskType) -> str:
    """Return the name of the tool of a task type of its own."""
    return (PREFIX + NOT_IN_NAMES.sub("_", kind.name))[:MAX_NAME_CHARS]


def map_typed(catalog: Iterable[TaskType], taken: Iterable[str]) -> dict[str, TaskType]:
    """Return the types with `tool = true` by the name of their tool.

    A name that is `taken`, or that two types would have, stays with the first.
    """
    found: dict[str, TaskType] = {}
    names = set(taken)
    for kind in catalog:
        name = make_tool_name(kind)
        if kind.tool and kind.startable and name not in names:
            found[name] = kind
            names.add(name)
    return found


def make_typed_tool(name: str, kind: TaskType, start: Tool) -> Tool:
    """Return the tool that starts `kind`; it answers as `start` does."""
    schema: Schema = dict(kind.json_schema())
    properties: Schema = dict(schema["properties"])
    if kind.confirm and "confirm" not in properties:
        properties["confirm"] = start.parameters["properties"]["confirm"]
    schema["properties"] = properties
    if not kind.any_params:
        schema["additionalProperties"] = False
    text = f"{kind.description or kind.label}\n\nStarts it and returns its task_id at "
    text += "once; follow it with wait_for_task."
    if kind.duration not in ("", "unknown"):
        text += f" It takes {kind.duration}."
    title = f"Start {kind.label}"
    hints = start.annotations
    return start.model_copy(
        update={
            "name": name,
            "title": title,
            "description": text,
            "parameters": schema,
            "annotations": hints and hints.model_copy(update={"title": title}),
        }
    )


def make_start_arguments(kind: TaskType, given: Mapping[str, Any]) -> Schema:
    """Return the arguments of `start_background_task` for a call of a typed tool."""
    params = dict(given)
    own = {param.name for param in kind.params}
    arguments: Schema = {"task_type": kind.name, "params": params}
    if kind.confirm and "confirm" in params and "confirm" not in own:
        arguments["confirm"] = params.pop("confirm")
    return arguments
