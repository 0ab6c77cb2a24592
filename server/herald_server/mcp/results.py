"""What a task returned: whole from the result backend, or as its event told it.

An event carries the result as the text of a Python `repr`, cut at some length
and depth, so the backend is asked first where there is one.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from herald_monitor.backends import ResultBackend
from herald_monitor.large_json import LargeJson
from herald_monitor.meta import Unread
from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage
from herald_monitor.wire import shown

log = logging.getLogger(__name__)

WITHIN = 2.0
"""Seconds that the result backend has to answer."""

MAX_SHOWN = 65_536
"""Bytes of JSON beyond which a result is shown as a text that is cut off."""

MAX_READ = 1_000_000
"""Bytes that a backend stores beyond which a result is not read."""

MASK = "[redacted]"

Redact = Callable[[str], str]


class Outcome(msgspec.Struct, frozen=True):
    """What a task returned; not `whole` if it is a text that was cut off."""

    value: Any = None
    whole: bool = True


NOTHING = Outcome()


class Results(Protocol):
    """Tells what tasks returned."""

    async def of(self, task: TaskImage) -> Outcome:
        """Return what `task` returned; `NOTHING` unless it succeeded."""
        ...


class ToldResults:
    """Results as events told them."""

    async def of(self, task: TaskImage) -> Outcome:
        """Return what `task` returned, read off the text that was told of it."""
        if task.state != shape.SUCCESS or task.result is None:
            return NOTHING
        return read_off(task.result)


class BackendResults:
    """Results as the result backend has them, else as events told them."""

    def __init__(self, backend: ResultBackend, redact: Redact = str) -> None:
        self._backend = backend
        self._redact = redact

    async def of(self, task: TaskImage) -> Outcome:
        """Return what `task` returned. A backend that fails is passed over."""
        told = await ToldResults().of(task)
        if task.state != shape.SUCCESS:
            return told

        def look(meta: Mapping[str, object], _size: int | None) -> Outcome:
            if meta.get("status") != shape.SUCCESS:
                return told
            return _fit(meta.get("result"), told, self._redact)

        try:
            found = await self._backend.examine(task.id, look, MAX_READ, WITHIN)
        except Exception as error:  # any backend, any driver, any codec
            log.warning(
                "the result backend does not tell a result: %s", type(error).__name__
            )
            return told
        return found or told


def _fit(value: object, told: Outcome, redact: Redact) -> Outcome:
    """Return `value` as JSON values without secrets; if it is long, as a text cut off.

    It is `told` if there is no JSON of it, or it is too large to be read.
    """
    if isinstance(value, Unread):
        if told.value is not None:
            return told
        return Outcome(f"({value.size} bytes, too many to be shown)", whole=False)
    try:
        text = bytes(value.raw) if isinstance(value, LargeJson) else to_json(value)
        if len(text) <= MAX_SHOWN:
            return Outcome(without_secrets(msgspec.json.decode(text), redact))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return told if told.value is not None else _as_text(value, redact)
    cut = redact(text[:MAX_SHOWN].decode(errors="ignore"))
    return Outcome(f"{cut}… ({len(text)} bytes)", whole=False)


def _as_text(value: object, redact: Redact) -> Outcome:
    text = shown(value)
    cut = "" if len(text) <= MAX_SHOWN else f"… ({len(text)} characters)"
    return Outcome(redact(text[:MAX_SHOWN]) + cut, whole=not cut)


def without_secrets(value: object, redact: Redact) -> object:
    """Return JSON values with what stands behind secret-looking keys masked."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [without_secrets(one, redact) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {
            key: MASK if _secret(key, redact) else without_secrets(one, redact)
            for key, one in pairs
        }
    return value


def _secret(key: str, redact: Redact) -> bool:
    said = f"{key}=x"
    return redact(said) != said


def read_off(text: str) -> Outcome:
    """Return the value whose JSON or Python `repr` is `text`, else the text itself."""
    try:
        return Outcome(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        value: object = ast.literal_eval(text)
        if not _cut(value):
            return Outcome(msgspec.json.decode(to_json(value)))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    # Both Celery (`...`) and the store (`…`) mark what they cut.
    return Outcome(text, whole="..." not in text and "…" not in text)


def _cut(value: object) -> bool:
    """Say whether Celery cut something inside: `{...}` is a set of an `Ellipsis`."""
    if value is ...:
        return True
    if isinstance(value, str):
        return value.endswith("...")
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return any(_cut(one) for pair in pairs for one in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(_cut(one) for one in cast("list[object]", value))
    return False
