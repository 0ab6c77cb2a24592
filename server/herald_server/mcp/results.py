"""What a task returned: whole from the result backend, or as its event told it.

An event carries the result as the text of a Python `repr`, cut at some length
and depth, so the backend is asked first where there is one.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import anyio
import msgspec
from anyio import to_thread
from celery import Celery

from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage

log = logging.getLogger(__name__)

WITHIN = 2.0
"""Seconds that the result backend has to answer."""

MAX_SHOWN = 65_536
"""Bytes of JSON beyond which a result is shown as the text that its event told."""

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
    """Results as `app`'s result backend has them, else as events told them."""

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self._app = app
        self._redact = redact

    async def of(self, task: TaskImage) -> Outcome:
        """Return what `task` returned. A backend that fails is passed over."""
        told = await ToldResults().of(task)
        if task.state != shape.SUCCESS or not self._can_be_asked():
            return told
        try:
            with anyio.fail_after(WITHIN):
                meta = await to_thread.run_sync(
                    self._ask, task.id, abandon_on_cancel=True
                )
        except Exception as error:  # any backend, any driver, any codec
            log.warning(
                "the result backend does not tell a result: %s", type(error).__name__
            )
            return told
        if meta.get("status") != shape.SUCCESS:
            return told
        return _fit(meta.get("result"), told, self._redact)

    def _can_be_asked(self) -> bool:
        # rpc:// holds the results of its own process' calls only.
        url = cast(Any, self._app).conf.result_backend
        return bool(url) and not str(url).startswith(("rpc", "disabled"))

    def _ask(self, task_id: str) -> Mapping[str, Any]:
        backend = cast(Any, self._app).backend
        return cast("Mapping[str, Any]", backend.get_task_meta(task_id, cache=False))


def _fit(value: object, told: Outcome, redact: Redact) -> Outcome:
    """Return `value` as JSON values without secrets, or `told` if it is too long."""
    try:
        plain: object = msgspec.json.decode(to_json(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return told if told.value is not None else Outcome(redact(repr(value)))
    shown = without_secrets(plain, redact)
    size = len(to_json(shown))
    if size <= MAX_SHOWN:
        return Outcome(shown)
    text = to_json(shown)[:MAX_SHOWN].decode(errors="ignore")
    return Outcome(f"{text}… ({size} bytes)", whole=False)


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
    return redact(f"{key}=x") != f"{key}=x"


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
