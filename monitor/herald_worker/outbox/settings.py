"""Settings of the outbox in workers and producers, from the environment.

`HERALD_OUTBOX_URL`, `HERALD_OUTBOX_STREAM` and `HERALD_OUTBOX_STREAMS` must be set
alike in monitors; `HERALD_OUTBOX_MAX_EVENTS`, `HERALD_OUTBOX_MAXLEN`,
`HERALD_OUTBOX_MAX_BYTES` and `HERALD_OUTBOX_ALSO_PUBLISH` only matter here, and so does
`HERALD_RELEASE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from herald_worker.outbox.stream_format import DEFAULT_STREAM, MAX_STREAMS

PREFIX = "HERALD_OUTBOX_"
RELEASE_VARIABLE = "HERALD_RELEASE"

DEFAULT_MAX_EVENTS = 50_000
"""Events in the memory of one process: about 30 MB, when Redis is away for long."""

DEFAULT_MAXLEN_ENTRIES = 1_000_000
"""Entries of one stream; an entry holds 1 to 200 events."""

DEFAULT_MAX_BYTES = 512 * 1024 * 1024
"""Bytes of one stream in Redis: about 1.6 million events."""


class OutboxSettingsError(ValueError):
    """Something is set that the outbox cannot use; its text says what to set."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Where a process writes its events, and how much of them it keeps."""

    url: str | None = None
    """The Redis that holds the stream; None for the broker."""
    stream: str = DEFAULT_STREAM
    streams: int = 1
    max_events: int = DEFAULT_MAX_EVENTS
    maxlen: int = DEFAULT_MAXLEN_ENTRIES
    max_bytes: int = DEFAULT_MAX_BYTES
    also_publish: bool = False
    """Whether events of tasks are published too, as Celery itself would."""
    release: str | None = None
    """The version of the project that this process runs, such as a commit id."""


def read_settings(
    given: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> OutboxSettings:
    """Return the settings: what is given (not None), else the environment's.

    Raises `OutboxSettingsError`.
    """
    read = os.environ if environ is None else environ
    values: dict[str, object] = {
        name: read.get(PREFIX + name.upper()) for name in _KINDS
    }
    values["release"] = (read.get(RELEASE_VARIABLE) or "").strip()
    values |= {name: value for name, value in given.items() if value is not None}
    return OutboxSettings(
        **{
            name: _KINDS[name](name, value)
            for name, value in values.items()
            if value not in (None, "")
        }
    )


def _read_text(name: str, value: object) -> str:
    return str(value).strip()


def _read_number(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    most = MAX_STREAMS if name == "streams" else 10**12
    if not 0 < number <= most:
        raise OutboxSettingsError(
            f"{PREFIX}{name.upper()} is {value!r}: it must be a whole number from 1 "
            f"to {most:,}."
        )
    return number


def _read_flag(name: str, value: object) -> bool:
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise OutboxSettingsError(
            f"{PREFIX}{name.upper()} is {value!r}: it must be 1 or 0."
        )
    return flag


_FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}

_KINDS: dict[str, Callable[[str, object], Any]] = {
    "url": _read_text,
    "stream": _read_text,
    "streams": _read_number,
    "max_events": _read_number,
    "maxlen": _read_number,
    "max_bytes": _read_number,
    "also_publish": _read_flag,
    "release": _read_text,
}
