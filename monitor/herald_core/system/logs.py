"""Log lines on standard error: as text for people, or as JSON for log collectors.

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

from herald_core.errors import InvalidInput
from herald_core.model.tasks.views import to_rfc3339

TEXT_FORMAT = "text"
JSON_FORMAT = "json"
FORMATS = (TEXT_FORMAT, JSON_FORMAT)

FORMAT_VARIABLE = "HERALD_LOG_FORMAT"
LEVEL_VARIABLE = "HERALD_LOG_LEVEL"
"""Environment variables, so that child processes log alike."""

LINE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MAX_LINE_CHARS = 20_000
"""Characters of a traceback that are logged."""


MAX_REPEATS = 20
"""Lines of one kind that are logged within `PERIOD_S`."""

PERIOD_S = 10.0

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class TextFormatter(logging.Formatter):
    """A formatter of one line a record; logged values cannot forge another line.

    Only tracebacks, which Python makes, have several lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without control characters."""
        return escape_controls(super().formatMessage(record).replace("\n", "\\n"))

    def formatException(self, ei: Any) -> str:
        """Return the traceback, of which the messages are escaped."""
        return escape_controls(super().formatException(ei)[-MAX_LINE_CHARS:])


def escape_controls(text: str) -> str:
    """Return `text` with control characters as Python escapes; line feeds stay."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class RepeatFilter(logging.Filter):
    """A filter that passes at most `MAX_REPEATS` lines from one place in `PERIOD_S`.

    The first line of the next period holds the number of suppressed lines.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if `record` is logged; add the count of suppressed lines."""
        place, now = (record.pathname, record.lineno), self._clock()
        begun, count = self._counts.get(place, (now, 0))
        if now - begun >= PERIOD_S:
            left_out, begun, count = count - MAX_REPEATS, now, 0
            if left_out > 0:
                record.msg = f"{record.getMessage()} ({left_out} more were left out)"
                record.args = None
        self._counts[place] = (begun, count + 1)
        return count < MAX_REPEATS


class JsonFormatter(logging.Formatter):
    """Each record as one JSON object on a line.

    Keys: `at` (RFC 3339, UTC), `level`, `logger`, `message`, `pid`, `thread` (of
    others than the main one), and `exception` with the traceback, if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "at": to_rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.threadName and record.threadName != "MainThread":
            fields["thread"] = record.threadName
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)[
                -MAX_LINE_CHARS:
            ]
        return msgspec.json.encode(fields).decode()


def configure(level: str | None = None, env: Mapping[str, str] = os.environ) -> None:
    """Send log lines to standard error, as the environment wants them.

    `level` goes first. Raises `InvalidInput` for a format that there is not.
    """
    form = env.get(FORMAT_VARIABLE) or TEXT_FORMAT
    if form not in FORMATS:
        raise InvalidInput(
            f"{FORMAT_VARIABLE} must be one of {', '.join(FORMATS)}", FORMAT_VARIABLE
        )
    lines = logging.StreamHandler()
    lines.setFormatter(
        JsonFormatter() if form == JSON_FORMAT else TextFormatter(LINE_FORMAT)
    )
    lines.addFilter(RepeatFilter())
    chosen = level or env.get(LEVEL_VARIABLE) or "INFO"
    logging.basicConfig(level=chosen.upper(), handlers=[lines])
