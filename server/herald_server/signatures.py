"""Task types of an app, from the signatures and type hints of its tasks.

What a hint does not say, a default does; what neither says is of the type `any`.
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

from herald_monitor.errors import BadInput
from herald_server.catalog import is_name
from herald_server.catalog_types import ABSENT, JsonType, Param, TaskType

CELERYS_OWN: Final = "celery."
"""How the names of Celery's own tasks begin."""

MAX_DESCRIPTION: Final = 200

_PLAIN: Final[tuple[tuple[type, JsonType, str | None], ...]] = (
    # Before int: bool is one to Python.
    (bool, "boolean", None),
    (int, "integer", None),
    (float, "number", None),
    (str, "string", None),
    (datetime, "string", "date-time"),
    (date, "string", "date"),
)
_MAPPINGS: Final = (dict, Mapping)
_LISTS: Final = (list, tuple, set, frozenset, Sequence, Iterable)


class Hint(NamedTuple):
    """What a type hint says in the words of JSON Schema."""

    type: JsonType = "any"
    format: str | None = None
    enum: tuple[object, ...] | None = None
    nullable: bool = False


def load_tasks(app: Celery) -> None:
    """Import the modules in which `app` expects tasks, as a worker does.

    Raises `BadInput`.
    """
    try:
        cast(Any, app).loader.import_default_modules()
    except Exception as error:  # the project's own code
        said = (str(error).strip().splitlines() or [""])[0]
        raise BadInput(
            f"the task modules of the app cannot be imported: {type(error).__name__}: "
            f"{said}; mend the module"
        ) from error


def types_of(app: Celery) -> list[TaskType]:
    """Return the tasks that `app` registers, without Celery's own, by name."""
    tasks = cast("Mapping[str, object]", cast(Any, app).tasks)
    return [
        type_of(name, tasks[name])
        for name in sorted(tasks)
        if is_name(name) and not name.startswith(CELERYS_OWN)
    ]


def type_of(name: str, task: object) -> TaskType:
    """Return the task type of a task."""
    queue = getattr(task, "queue", None)
    return TaskType(
        name=name,
        celery_name=name,
        description=_description(task),
        params=params_of(getattr(task, "run", task)),
        queue=queue if isinstance(queue, str) else None,
        title=name,
    )


def params_of(function: object) -> tuple[Param, ...]:
    """Return the parameters that a task takes by name."""
    try:
        signature = inspect.signature(cast(Any, function))
    except (TypeError, ValueError):
        return ()
    hints = _hints(cast(Any, function))
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(
        _param(one, hints.get(one.name, one.annotation))
        for one in signature.parameters.values()
        if one.kind in named
    )


def _param(one: inspect.Parameter, annotation: object) -> Param:
    hint = hint_of(annotation)
    given = one.default is not inspect.Parameter.empty
    default = _plain(one.default) if given else ABSENT
    if hint.type == "any" and default not in (None, ABSENT):
        kind: type[object] = type(default)
        hint = hint_of(kind)
    param = Param(
        one.name,
        hint.type,
        required=not given,
        format=hint.format,
        enum=hint.enum,
        nullable=hint.nullable or (given and one.default is None),
    )
    if default is ABSENT or default is None or param.wrong(default):
        # The task fills in itself what is left out.
        return param
    return replace(param, default=default)


def hint_of(annotation: object) -> Hint:
    """Return what a type hint says; a hint that says nothing is of the type `any`."""
    origin = typing.get_origin(annotation)
    inner = typing.get_args(annotation)
    if origin is typing.Annotated:
        return hint_of(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _hint_of_union(inner)
    if origin is typing.Literal:
        return _hint_of_values(inner)
    if isinstance(annotation, typing.NewType):
        return hint_of(annotation.__supertype__)
    found = origin or annotation
    if not isinstance(found, type):
        return Hint()
    return _hint_of_class(cast("type[object]", found))


def _hint_of_union(inner: Sequence[object]) -> Hint:
    some = [hint_of(one) for one in inner if one is not type(None)]
    nullable = len(some) < len(inner)
    if len(some) == 1:
        return some[0]._replace(nullable=nullable or some[0].nullable)
    # An integer is a number as well.
    if {one.type for one in some} == {"integer", "number"}:
        return Hint("number", nullable=nullable)
    return Hint(nullable=nullable)


def _hint_of_values(values: Sequence[object]) -> Hint:
    values = [one.value if isinstance(one, enum.Enum) else one for one in values]
    some = tuple(one for one in values if one is not None)
    nullable = len(some) < len(values)
    kinds: list[type[object]] = [type(one) for one in some]
    found = {hint_of(kind) for kind in kinds}
    if len(found) != 1 or Hint() in found:
        return Hint(nullable=nullable)
    return found.pop()._replace(enum=some, nullable=nullable)


def _hint_of_class(found: type[object]) -> Hint:
    if issubclass(found, enum.Enum):
        return _hint_of_values([one.value for one in found])
    for kind, name, form in _PLAIN:
        if issubclass(found, kind):
            return Hint(name, form)
    if issubclass(found, _MAPPINGS) or hasattr(found, "model_fields"):
        return Hint("object")
    return Hint("array") if issubclass(found, _LISTS) else Hint()


def _hints(function: Any) -> dict[str, object]:
    """Return the type hints of a function, those that can be read."""
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


def _plain(value: object) -> object:
    """Return a default as JSON and TOML can carry it; `ABSENT` if they cannot."""
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else ABSENT
    if isinstance(value, list | tuple):
        items = [_plain(one) for one in cast("Sequence[object]", value)]
        return ABSENT if any(one in (None, ABSENT) for one in items) else items
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        read = {key: _plain(one) for key, one in pairs if isinstance(key, str)}
        whole = len(read) == len(pairs)
        return read if whole and ABSENT not in [*read.values()] else ABSENT
    return ABSENT


def _description(task: object) -> str:
    doc = inspect.getdoc(getattr(task, "run", None)) or ""
    first = re.split(r"\n\s*\n", doc.strip(), maxsplit=1)[0]
    line = " ".join(first.split()).rstrip(".")
    return line if len(line) <= MAX_DESCRIPTION else line[: MAX_DESCRIPTION - 1] + "…"
