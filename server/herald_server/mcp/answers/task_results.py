"""Results of tasks: complete from the result backend, or as in the event.

An event contains the result as the text of a Python `repr`, truncated in length and
depth, so the backend is queried first if there is one.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from herald_core.model.codec import to_json
from herald_core.model.events.event import safe_repr
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.system.large_json import LargeJson
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_monitor.celery_client.backend.task_meta import OversizedValue
from herald_server.auth.request_context import is_hidden

log = logging.getLogger(__name__)

BACKEND_TIMEOUT_S = 2.0
"""Seconds that the result backend has to answer."""

MAX_SHOWN_CHARS = 65_536
"""Bytes of JSON beyond which a result is shown as truncated text."""

MAX_READ_BYTES = 1_000_000
"""Stored bytes beyond which a result is not read."""

MASK = "[redacted]"

Redact = Callable[[str], str]


class TaskResult(msgspec.Struct, frozen=True):
    """Return value of a task; not `whole` if it is a truncated text."""

    value: Any = None
    whole: bool = True


NO_RESULT = TaskResult()


class ResultReader(Protocol):
    """Reads the results of tasks."""

    async def read(
        self, task: TaskView, max_chars: int = MAX_SHOWN_CHARS
    ) -> TaskResult:
        """Return the result of `task`; `NO_RESULT` unless it succeeded.

        Of more than `max_chars` bytes of JSON it is a truncated text.
        """
        ...


class EventResults:
    """Results as in the events."""

    async def read(
        self, task: TaskView, max_chars: int = MAX_SHOWN_CHARS
    ) -> TaskResult:
        """Return the result of `task`, parsed from its event's text."""
        if task.state != views.SUCCESS or task.result is None:
            return NO_RESULT
        return parse_repr(task.result)


class BackendResults:
    """Results from the result backend, else as in the events."""

    def __init__(self, backend: ResultBackend, redact: Redact = str) -> None:
        self._backend = backend
        self._redact = redact

    async def read(
        self, task: TaskView, max_chars: int = MAX_SHOWN_CHARS
    ) -> TaskResult:
        """Return the result of `task`. Errors of the backend are logged."""
        if task.state != views.SUCCESS or is_hidden("result"):
            return NO_RESULT
        from_event = NO_RESULT if task.result is None else parse_repr(task.result)

        def look(meta: Mapping[str, object], _size: int | None) -> TaskResult:
            if meta.get("status") != views.SUCCESS:
                return from_event
            return _to_result(meta.get("result"), from_event, self._redact, max_chars)

        try:
            found = await self._backend.examine(
                task.id, look, MAX_READ_BYTES, BACKEND_TIMEOUT_S
            )
        except Exception as error:  # any backend, any driver, any codec
            log.warning(
                "the result backend does not tell a result: %s", type(error).__name__
            )
            return from_event
        return found or from_event


def cut_result(outcome: TaskResult, max_chars: int) -> TaskResult:
    """Return `outcome`, as a truncated text if its JSON is over `max_chars` bytes."""
    if isinstance(outcome.value, str) and not outcome.whole:
        text = outcome.value
        cut = text[:max_chars] + ("…" if len(text) > max_chars else "")
        return TaskResult(cut, whole=False)
    text_bytes = to_json(outcome.value)
    if len(text_bytes) <= max_chars:
        return outcome
    cut = text_bytes[:max_chars].decode(errors="ignore")
    return TaskResult(f"{cut}… ({len(text_bytes)} bytes)", whole=False)


def _to_result(
    value: object, from_event: TaskResult, redact: Redact, max_chars: int
) -> TaskResult:
    """Return `value` as JSON values without secrets; a long one as a truncated text.

    Returns `from_event` if it cannot be converted to JSON, or is too large to be read.
    """
    if isinstance(value, OversizedValue):
        if from_event.value is not None:
            return from_event
        return TaskResult(f"({value.size} bytes, too many to be shown)", whole=False)
    try:
        text = bytes(value.raw) if isinstance(value, LargeJson) else to_json(value)
        if len(text) <= max_chars:
            return TaskResult(redact_value(msgspec.json.decode(text), redact))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return (
            from_event
            if from_event.value is not None
            else _to_text_result(value, redact, max_chars)
        )
    cut = redact(text[:max_chars].decode(errors="ignore"))
    return TaskResult(f"{cut}… ({len(text)} bytes)", whole=False)


def _to_text_result(value: object, redact: Redact, max_chars: int) -> TaskResult:
    text = safe_repr(value)
    cut = "" if len(text) <= max_chars else f"… ({len(text)} characters)"
    return TaskResult(redact(text[:max_chars]) + cut, whole=not cut)


def redact_value(value: object, redact: Redact) -> object:
    """Return JSON values with the values of secret keys masked."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_value(one, redact) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {
            key: MASK if _is_secret(key, redact) else redact_value(one, redact)
            for key, one in pairs
        }
    return value


def _is_secret(key: str, redact: Redact) -> bool:
    text = f"{key}=x"
    return redact(text) != text


def parse_repr(text: str) -> TaskResult:
    """Return the value of a JSON or Python `repr` text, else the text itself."""
    try:
        return TaskResult(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        value: object = ast.literal_eval(text)
        if not _is_truncated(value):
            return TaskResult(msgspec.json.decode(to_json(value)))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    # Both Celery (`...`) and the store (`…`) mark truncated values.
    return TaskResult(text, whole="..." not in text and "…" not in text)


def _is_truncated(value: object) -> bool:
    """Return True if Celery truncated something inside: `{...}` is a
    set of an `Ellipsis`."""
    if value is ...:
        return True
    if isinstance(value, str):
        return value.endswith("...")
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return any(_is_truncated(one) for pair in pairs for one in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(_is_truncated(one) for one in cast("list[object]", value))
    return False
