"""The shape of an answer: names and types, without what differs from run to run."""

from __future__ import annotations

from typing import Any, cast

Shape = Any

KEPT = ("type", "title", "status")
"""Members of a problem document whose values are part of the contract."""


def shape_of(value: Any) -> Shape:
    """Return names and types in `value`; a list has the shape of all its items."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in cast(Any, value).items()}
    if isinstance(value, list):
        shapes = [shape_of(one) for one in cast(Any, value)]
        return [_merge(shapes)] if shapes else []
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return "number" if isinstance(value, int | float) else "text"


def _merge(shapes: list[Shape]) -> Shape:
    """Return what holds for any of `shapes`: all names that one of them has."""
    tables: list[dict[str, Shape]] = [one for one in shapes if isinstance(one, dict)]
    if len(tables) < len(shapes):
        kinds = sorted({one for one in shapes if isinstance(one, str)})
        return " or ".join(kinds) if len(kinds) else shapes[0]
    keys: dict[str, list[Shape]] = {}
    for table in tables:
        for key, one in table.items():
            keys.setdefault(key, []).append(one)
    return {key: _merge(found) for key, found in keys.items()}


def problem_shape(body: dict[str, Any]) -> Shape:
    """Return the shape of a problem document, with the values of its fixed members."""
    return {**shape_of(body), **{key: body[key] for key in KEPT}}


def without_stale(shape: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is told once no monitor has written for three seconds."""
    return {key: one for key, one in shape.items() if key != "stale"}
