"""Schemas of arguments that are objects: with their keys, as strict modes demand."""

from __future__ import annotations

from typing import Any

FILTER_KEYS = (
    *("ids", "name", "state", "worker", "queue"),
    *("root", "parent", "group", "tag", "failure"),
)

_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _make_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _make_optional(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    known = schema.get("anyOf", [schema])
    return {"anyOf": [*known, {"type": "null"}]}


FILTER = _make_optional(_make_object({key: _allow_null(_TEXTS) for key in FILTER_KEYS}))
"""A filter of tasks, or null."""

MEMBERS: dict[str, Any] = {
    "items": {
        "type": "object",
        "properties": {
            "task_type": {"type": "string"},
            "params": _make_optional({"type": "object"}),
        },
        "required": ["task_type"],
        "additionalProperties": False,
    },
}
"""Tasks of a group or chain. A closed catalog names types and parameters."""

COMMAND_PARAMS = _make_optional(
    _make_object(
        {
            **{key: _make_optional({"type": "integer"}) for key in ("n", "max", "min")},
            **{
                key: _make_optional({"type": "string"})
                for key in ("queue", "task_name", "rate_limit")
            },
            **{key: _make_optional({"type": "number"}) for key in ("soft", "hard")},
        }
    )
)
"""Parameters of an order to a worker, or null."""
