"""Log lines on standard error: for people, or as JSON for whoever collects them.

Neither ever holds the arguments or results of tasks.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.shape import rfc3339

TEXT = "text"
JSON = "json"
FORMATS = (TEXT, JSON)

FORMAT = "HERALD_LOG_FORMAT"
LEVEL = "HERALD_LOG_LEVEL"
"""Environment variables, so that child processes log alike."""

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MOST = 20_000
"""Characters of a traceback that are logged."""


MAX_REPEATS = 20
"""Lines of one kind that are logged within `PERIOD_S`."""

PERIOD_S = 10.0

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class TextLines(logging.Formatter):
    """Each record as a line for people; what others wrote cannot forge another line.

    Only tracebacks, which Python makes, have lines of their own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without control characters."""
        return escape_controls(super().formatMessage(record).replace("\n", "\\n"))

    def formatException(self, ei: Any) -> str:
        """Return the traceback, of which the messages are escaped."""
        return escape_controls(super().formatException(ei)[-MOST:])


def escape_controls(text: str) -> str:
    """Return `text` with control characters as Python escapes; line feeds stay."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class RepeatFilter(logging.Filter):
    """Lets through at most `MAX_REPEATS` lines from one place within `PERIOD_S`.

    The first line of the next period tells how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether `record` is logged; it may be told how many were not."""
        place, now = (record.pathname, record.lineno), self._clock()
        begun, count = self._seen.get(place, (now, 0))
        if now - begun >= PERIOD_S:
            left_out, begun, count = count - MAX_REPEATS, now, 0
            if left_out > 0:
                record.msg = f"{record.getMessage()} ({left_out} more were left out)"
                record.args = None
        self._seen[place] = (begun, count + 1)
        return count < MAX_REPEATS


class JsonLines(logging.Formatter):
    """Each record as one JSON object on a line.

    Keys: `at` (RFC 3339, UTC), `level`, `logger`, `message`, `pid`, `thread` (of
    others than the main one), and `exception` with the traceback, if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "at": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.threadName and record.threadName != "MainThread":
            said["thread"] = record.threadName
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = self.formatException(record.exc_info)[-MOST:]
        return msgspec.json.encode(said).decode()


def set_up(level: str | None = None, env: Mapping[str, str] = os.environ) -> None:
    """Send log lines to standard error, as the environment wants them.

    `level` goes first. Raises `BadInput` for a format that there is not.
    """
    form = env.get(FORMAT) or TEXT
    if form not in FORMATS:
        raise BadInput(f"{FORMAT} must be one of {', '.join(FORMATS)}", FORMAT)
    lines = logging.StreamHandler()
    lines.setFormatter(JsonLines() if form == JSON else TextLines(LINE))
    lines.addFilter(RepeatFilter())
    chosen = level or env.get(LEVEL) or "INFO"
    logging.basicConfig(level=chosen.upper(), handlers=[lines])
