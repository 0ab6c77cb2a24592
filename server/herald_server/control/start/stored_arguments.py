"""Recover the arguments of a finished task from their stored text.

Herald stores what Celery's events contain: the `repr` of the arguments, shortened and
redacted. Nothing else is stored for a retry. A task can be retried with its own
arguments only if that text is complete; otherwise the caller must give them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import cast

from herald_core.errors import InvalidInput
from herald_core.model.events.redaction import MASK
from herald_core.model.tasks.views import TaskView

TRUNCATION_MARKS = ("...", "…")
"""How Celery and the store mark what they cut."""

SCALAR_TYPES = (str, int, float, bool, type(None))


def recover_arguments(task: TaskView) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the positional and keyword arguments of `task`.

    Raises `InvalidInput` with the reason if they cannot be recovered.
    """
    args = _parse_repr(task.args, "()", "args")
    kwargs = _parse_repr(task.kwargs, "{}", "kwargs")
    if not isinstance(args, tuple | list) or not isinstance(kwargs, dict):
        raise InvalidInput(
            _describe_problem("its sender shows other text instead"), "args"
        )
    named = cast("dict[object, object]", kwargs)
    if not all(isinstance(key, str) for key in named):
        raise InvalidInput(
            _describe_problem("its sender shows other text instead"), "kwargs"
        )
    positional = tuple(cast("tuple[object, ...] | list[object]", args))
    return positional, cast("dict[str, object]", kwargs)


def _parse_repr(text: str | None, empty: str, key: str) -> object:
    if text is None and key == "args":
        raise InvalidInput(_describe_problem("no event contained them"), key)
    text = empty if text is None else text
    if MASK in text:
        raise InvalidInput(_describe_problem("secrets were cut out of them"), key)
    try:
        value: object = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        cut = any(mark in text for mark in TRUNCATION_MARKS)
        why = "they were cut off" if cut else "they are no plain values"
        raise InvalidInput(_describe_problem(why), key) from None
    if not _is_complete(value):
        raise InvalidInput(_describe_problem("they were cut off"), key)
    return value


def _is_complete(value: object) -> bool:
    """Return True if nothing was truncated and JSON can represent the value."""
    if isinstance(value, str):
        return not value.endswith(TRUNCATION_MARKS)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return all(isinstance(k, str) and _is_complete(v) for k, v in pairs)
    if isinstance(value, list | tuple):
        return all(_is_complete(one) for one in cast("list[object]", value))
    return isinstance(value, SCALAR_TYPES)


def _describe_problem(why: str) -> str:
    return (
        f"the arguments of this task are not known ({why}); give them all in kwargs, "
        "or start it again"
    )
