"""Derive task types from the signatures and type hints of an app's tasks.

If there is no hint, the default determines the type; otherwise it is `any`.
"""

from __future__ import annotations

import enum
import inspect
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final, NamedTuple, cast

from celery import Celery

from herald_core.errors import InvalidInput
from herald_server.catalog.catalog import is_valid_name
from herald_server.catalog.types import NO_DEFAULT, JsonType, Param, TaskType

CELERY_PREFIX: Final = "celery."
"""How the names of Celery's own tasks begin."""

MAX_DESCRIPTION_CHARS: Final = 200

_PLAIN: Final[tuple[tuple[type, JsonType, str | None], ...]] = (
    # Before int: bool is a subclass of it.
    (bool, "boolean", None),
    (int, "integer", None),
    (float, "number", None),
    (str, "string", None),
    (datetime, "string", "date-time"),
    (date, "string", "date"),
)
_MAPPINGS: Final = (dict, Mapping)
_LISTS: Final = (list, tuple, set, frozenset, Sequence, Iterable)


class TypeHint(NamedTuple):
    """A type hint in terms of JSON Schema."""

    type: JsonType = "any"
    format: str | None = None
    enum: tuple[object, ...] | None = None
    nullable: bool = False


def load_tasks(app: Celery) -> None:
    """Import the modules in which `app` expects tasks, as a worker does.

    Raises `InvalidInput`.
    """
    try:
        cast(Any, app).loader.import_default_modules()
    except Exception as error:  # the project's own code
        reason = (str(error).strip().splitlines() or [""])[0]
        raise InvalidInput(
            f"the task modules of the app cannot be imported: {type(error).__name__}: "
            f"{reason}; fix the module"
        ) from error


def list_types(app: Celery) -> list[TaskType]:
    """Return the tasks that `app` registers, without Celery's own, by name."""
    tasks = cast("Mapping[str, object]", cast(Any, app).tasks)
    return [
        make_type(name, tasks[name])
        for name in sorted(tasks)
        if is_valid_name(name) and not name.startswith(CELERY_PREFIX)
    ]


def make_type(name: str, task: object) -> TaskType:
    """Return the task type of a task."""
    queue = getattr(task, "queue", None)
    return TaskType(
        name=name,
        celery_name=name,
        description=_read_description(task),
        params=list_params(getattr(task, "run", task)),
        queue=queue if isinstance(queue, str) else None,
        title=name,
    )


def list_params(function: object) -> tuple[Param, ...]:
    """Return the named parameters of a task."""
    try:
        signature = inspect.signature(cast(Any, function))
    except (TypeError, ValueError):
        return ()
    hints = _read_hints(cast(Any, function))
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(
        _make_param(one, hints.get(one.name, one.annotation))
        for one in signature.parameters.values()
        if one.kind in named
    )


def _make_param(one: inspect.Parameter, annotation: object) -> Param:
    hint = parse_hint(annotation)
    given = one.default is not inspect.Parameter.empty
    default = _to_plain(one.default) if given else NO_DEFAULT
    if hint.type == "any" and default not in (None, NO_DEFAULT):
        kind: type[object] = type(default)
        hint = parse_hint(kind)
    param = Param(
        one.name,
        hint.type,
        required=not given,
        format=hint.format,
        enum=hint.enum,
        nullable=hint.nullable or (given and one.default is None),
    )
    if default is NO_DEFAULT or default is None or param.find_problem(default):
        # The task has a default for an omitted argument.
        return param
    return replace(param, default=default)


def parse_hint(annotation: object) -> TypeHint:
    """Return the type of a hint; `any` if it is not specific."""
    origin = typing.get_origin(annotation)
    inner = typing.get_args(annotation)
    if origin is typing.Annotated:
        return parse_hint(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _parse_union(inner)
    if origin is typing.Literal:
        return _parse_values(inner)
    if isinstance(annotation, typing.NewType):
        return parse_hint(annotation.__supertype__)
    found = origin or annotation
    if not isinstance(found, type):
        return TypeHint()
    return _parse_class(cast("type[object]", found))


def _parse_union(inner: Sequence[object]) -> TypeHint:
    some = [parse_hint(one) for one in inner if one is not type(None)]
    nullable = len(some) < len(inner)
    if len(some) == 1:
        return some[0]._replace(nullable=nullable or some[0].nullable)
    # An integer is a number as well.
    if {one.type for one in some} == {"integer", "number"}:
        return TypeHint("number", nullable=nullable)
    return TypeHint(nullable=nullable)


def _parse_values(values: Sequence[object]) -> TypeHint:
    values = [one.value if isinstance(one, enum.Enum) else one for one in values]
    some = tuple(one for one in values if one is not None)
    nullable = len(some) < len(values)
    kinds: list[type[object]] = [type(one) for one in some]
    found = {parse_hint(kind) for kind in kinds}
    if len(found) != 1 or TypeHint() in found:
        return TypeHint(nullable=nullable)
    return found.pop()._replace(enum=some, nullable=nullable)


def _parse_class(found: type[object]) -> TypeHint:
    if issubclass(found, enum.Enum):
        return _parse_values([one.value for one in found])
    for kind, name, form in _PLAIN:
        if issubclass(found, kind):
            return TypeHint(name, form)
    if issubclass(found, _MAPPINGS) or hasattr(found, "model_fields"):
        return TypeHint("object")
    return TypeHint("array") if issubclass(found, _LISTS) else TypeHint()


def _read_hints(function: Any) -> dict[str, object]:
    """Return the type hints of a function, as far as they can be resolved."""
    inner = inspect.unwrap(getattr(function, "__func__", function))
    try:
        return typing.get_type_hints(inner, include_extras=True)
    except Exception:  # a hint is any code: a name that only a checker imports
        pass
    found: dict[str, object] = {}
    for name, one in getattr(inner, "__annotations__", {}).items():
        try:
            found[name] = eval(one, inner.__globals__) if isinstance(one, str) else one
        except Exception:
            found[name] = inspect.Parameter.empty
    return found


def _to_plain(value: object) -> object:
    """Return a default as a JSON and TOML value; `NO_DEFAULT` if that is impossible."""
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else NO_DEFAULT
    if isinstance(value, list | tuple):
        items = [_to_plain(one) for one in cast("Sequence[object]", value)]
        return NO_DEFAULT if any(one in (None, NO_DEFAULT) for one in items) else items
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        read = {key: _to_plain(one) for key, one in pairs if isinstance(key, str)}
        whole = len(read) == len(pairs)
        return read if whole and NO_DEFAULT not in [*read.values()] else NO_DEFAULT
    return NO_DEFAULT


def _read_description(task: object) -> str:
    doc = inspect.getdoc(getattr(task, "run", None)) or ""
    first = re.split(r"\n\s*\n", doc.strip(), maxsplit=1)[0]
    line = " ".join(first.split()).rstrip(".")
    return (
        line
        if len(line) <= MAX_DESCRIPTION_CHARS
        else line[: MAX_DESCRIPTION_CHARS - 1] + "…"
    )
