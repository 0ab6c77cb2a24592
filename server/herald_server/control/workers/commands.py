"""The commands that a worker can be ordered to carry out, and their parameters. Pure.

Names and arguments are those of Celery's remote control (celery/worker/control.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from herald_core.errors import InvalidInput

POOL_GROW = "pool_grow"
POOL_SHRINK = "pool_shrink"
AUTOSCALE = "autoscale"
ADD_CONSUMER = "add_consumer"
CANCEL_CONSUMER = "cancel_consumer"
RATE_LIMIT = "rate_limit"
TIME_LIMIT = "time_limit"
ENABLE_EVENTS = "enable_events"
DISABLE_EVENTS = "disable_events"
SHUTDOWN = "shutdown"
POOL_RESTART = "pool_restart"

MAX_POOL = 10_000
"""Processes, threads or greenlets by which one order changes a pool."""

MAX_NAME_CHARS = 255
MAX_LIMIT_S = 30 * 86_400.0

RATE_PATTERN = re.compile(r"\d{1,9}(\.\d{1,6})?(/[smh])?")
"""A rate limit: tasks a second, or `10/m` (celery/utils/time.py: rate)."""

EXCHANGE_TYPES = ("direct", "topic", "fanout", "headers")


class WorkerCommand(msgspec.Struct, frozen=True):
    """A command, and its parameters as Celery's remote control takes them."""

    name: str
    arguments: Mapping[str, Any] = {}


Parser = Callable[[str, object], Any]


def parse_command(name: object, given: Mapping[str, object]) -> WorkerCommand:
    """Return the command `name` with its parameters. Raises `InvalidInput`."""
    if not isinstance(name, str) or name not in PARAMETERS:
        raise InvalidInput(_describe_unknown(str(name)[:80]), "command")
    known = PARAMETERS[name]
    for key in sorted(given.keys() - known.keys()):
        allowed = ", ".join(known) or "no parameters"
        raise InvalidInput(
            f"{name} does not take {key[:80]!r}; it takes {allowed}", key
        )
    parsed = {
        key: parse(key, given[key])
        for key, parse in known.items()
        if given.get(key) is not None
    }
    return WorkerCommand(name, _complete(name, parsed))


def _describe_unknown(name: str) -> str:
    near = get_close_matches(name, PARAMETERS, 1)
    if near:
        return f"unknown command {name!r}; did you mean {near[0]!r}?"
    return f"unknown command {name!r}; use one of {', '.join(PARAMETERS)}"


def _complete(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with defaults. Raises `InvalidInput` if one is missing."""
    if name in (POOL_GROW, POOL_SHRINK):
        return {"n": 1, **given}
    for key in REQUIRED.get(name, ()):
        if key not in given:
            raise InvalidInput(f"{name} needs {key}", key)
    if name == AUTOSCALE:
        if not given:
            raise InvalidInput("autoscale needs max or min", "max")
        if "max" in given and "min" in given and given["min"] > given["max"]:
            raise InvalidInput("min must not be above max", "min")
    if name == TIME_LIMIT:
        # A limit that is left out is removed, as by Celery's own command.
        return {"soft": None, "hard": None, **given}
    return given


def _parse_count(key: str, value: object) -> int:
    return _parse_number(key, value, 1)


def _parse_size(key: str, value: object) -> int:
    return _parse_number(key, value, 0)


def _parse_number(key: str, value: object, least: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    valid = isinstance(value, int) and not isinstance(value, bool)
    if not valid or not least <= value <= MAX_POOL:  # type: ignore[operator]
        raise InvalidInput(
            f"{key} must be a whole number from {least} to {MAX_POOL}", key
        )
    return value  # type: ignore[return-value]


def _parse_seconds(key: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        seconds = -1.0
    if isinstance(value, bool) or not 0 < seconds <= MAX_LIMIT_S:
        raise InvalidInput(
            f"{key} must be a number of seconds, above 0 and up to {MAX_LIMIT_S:g};"
            " leave it out for no limit",
            key,
        )
    return seconds


def _parse_rate(key: str, value: object) -> str:
    text = str(value) if isinstance(value, int | float | str) else ""
    if isinstance(value, bool) or not RATE_PATTERN.fullmatch(text):
        raise InvalidInput(
            f"{key} must be a number of tasks a second, or such as 10/s, 10/m or 10/h;"
            " 0 for no limit",
            key,
        )
    return text


def _parse_text(key: str, value: object) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_NAME_CHARS
        or not value.isprintable()
    ):
        raise InvalidInput(
            f"{key} must be a text of 1 to {MAX_NAME_CHARS} printable characters", key
        )
    return value


def _parse_exchange_type(key: str, value: object) -> str:
    if value not in EXCHANGE_TYPES:
        raise InvalidInput(f"{key} must be one of {', '.join(EXCHANGE_TYPES)}", key)
    return str(value)


_CONSUMER: Mapping[str, Parser] = {
    "queue": _parse_text,
    "exchange": _parse_text,
    "exchange_type": _parse_exchange_type,
    "routing_key": _parse_text,
}

PARAMETERS: Mapping[str, Mapping[str, Parser]] = {
    POOL_GROW: {"n": _parse_count},
    POOL_SHRINK: {"n": _parse_count},
    AUTOSCALE: {"max": _parse_count, "min": _parse_size},
    ADD_CONSUMER: _CONSUMER,
    CANCEL_CONSUMER: {"queue": _parse_text},
    RATE_LIMIT: {"task_name": _parse_text, "rate_limit": _parse_rate},
    TIME_LIMIT: {
        "task_name": _parse_text,
        "soft": _parse_seconds,
        "hard": _parse_seconds,
    },
    ENABLE_EVENTS: {},
    DISABLE_EVENTS: {},
    SHUTDOWN: {},
    POOL_RESTART: {},
}
"""By command, its parameters."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    ADD_CONSUMER: ("queue",),
    CANCEL_CONSUMER: ("queue",),
    RATE_LIMIT: ("task_name", "rate_limit"),
    TIME_LIMIT: ("task_name",),
}
