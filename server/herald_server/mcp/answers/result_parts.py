"""Select a part of a task's result: by JSON Pointer, then by characters. Pure."""

from __future__ import annotations

from typing import Any, cast

from herald_core.errors import InvalidInput
from herald_core.model.codec import to_json
from herald_server.mcp.answers.short import cut_text

MAX_KEYS = 50
MAX_KEY_CHARS = 60


def select_value(value: object, path: str) -> object:
    """Return what the JSON Pointer `path` (RFC 6901) names. Raises `InvalidInput`."""
    if path and not path.startswith("/"):
        raise InvalidInput(
            "path must be a JSON Pointer such as /rows/0/name; leave it out for all",
            "path",
        )
    at = ""
    for step in path.split("/")[1:]:
        value = _enter(value, step.replace("~1", "/").replace("~0", "~"), at)
        at += f"/{step}"
    return value


def _enter(value: object, step: str, at: str) -> object:
    where = cut_text(at) or "the result"
    if isinstance(value, list):
        items = cast("list[object]", value)
        if step.isascii() and step.isdigit() and int(step[:9]) < len(items):
            return items[int(step)]
        raise InvalidInput(f"{where} has {len(items)} items, counted from 0", "path")
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if step in fields:
            return fields[step]
        known = ", ".join(list_keys(fields)[:20]) or "none"
        raise InvalidInput(
            f"{where} has no key {step[:60]!r}; its keys: {known}", "path"
        )
    raise InvalidInput(f"{where} is a {get_kind(value)} and has no parts", "path")


def get_kind(value: object) -> str:
    """Return the JSON type of `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    names: dict[type[object], str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "unknown")


def list_keys(value: object) -> list[str]:
    """Return the first keys of an object; none of anything else."""
    if not isinstance(value, dict):
        return []
    keys = list(cast("dict[str, object]", value))[:MAX_KEYS]
    return [cut_text(key, MAX_KEY_CHARS) or "" for key in keys]


def cut_part(value: object, offset: int, most: int) -> dict[str, Any]:
    """Return the fields of a part: the value if it fits, else a slice of its JSON."""
    keys = list_keys(value)
    text = value if isinstance(value, str) else to_json(value).decode()
    fields: dict[str, Any] = {"kind": get_kind(value), "length": len(text)}
    if isinstance(value, list | dict):
        fields["items"] = len(cast("list[object]", value))
    if offset == 0 and len(text) <= most:
        return {**fields, "value": value}
    end = offset + most
    fields |= {"keys": keys, "text": text[offset:end], "offset": offset}
    return {**fields, "next": end if end < len(text) else None}
