"""The arguments of a task that ran, read back from the text that is kept of them.

Herald keeps what Celery tells: the `repr` of the arguments, shortened, with
secrets cut out. Nothing else is stored for a retry, neither plain nor encrypted:
a store without secrets has none to lose. So a task can be retried as it was only
if its arguments are whole in that text; otherwise they have to be given.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import cast

from herald_monitor.errors import BadInput
from herald_monitor.model.redaction import MASK
from herald_monitor.model.shape import TaskImage

CUT = ("...", "…")
"""How Celery and the store mark what they cut."""

PLAIN = (str, int, float, bool, type(None))


def arguments_of(task: TaskImage) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the positional and keyword arguments of `task`.

    Raises `BadInput` with why they are not known.
    """
    args = _read(task.args, "()", "args")
    kwargs = _read(task.kwargs, "{}", "kwargs")
    if not isinstance(args, tuple | list) or not isinstance(kwargs, dict):
        raise BadInput(_sentence("its sender shows other text instead"), "args")
    named = cast("dict[object, object]", kwargs)
    if not all(isinstance(key, str) for key in named):
        raise BadInput(_sentence("its sender shows other text instead"), "kwargs")
    positional = tuple(cast("tuple[object, ...] | list[object]", args))
    return positional, cast("dict[str, object]", kwargs)


def _read(text: str | None, empty: str, key: str) -> object:
    if text is None and key == "args":
        raise BadInput(_sentence("no event told them"), key)
    text = empty if text is None else text
    if MASK in text:
        raise BadInput(_sentence("secrets were cut out of them"), key)
    try:
        value: object = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        cut = any(mark in text for mark in CUT)
        why = "they were cut off" if cut else "they are no plain values"
        raise BadInput(_sentence(why), key) from None
    if not _whole(value):
        raise BadInput(_sentence("they were cut off"), key)
    return value


def _whole(value: object) -> bool:
    """Say whether nothing was cut, and JSON can carry it."""
    if isinstance(value, str):
        return not value.endswith(CUT)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return all(isinstance(k, str) and _whole(v) for k, v in pairs)
    if isinstance(value, list | tuple):
        return all(_whole(one) for one in cast("list[object]", value))
    return isinstance(value, PLAIN)


def _sentence(why: str) -> str:
    return (
        f"the arguments of this task are not known ({why}); give them all in kwargs, "
        "or start it anew"
    )
