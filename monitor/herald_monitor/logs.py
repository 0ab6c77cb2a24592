"""Log lines on standard error: for people, or as JSON for whoever collects them.

Neither ever holds the arguments or results of tasks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

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
    lines.setFormatter(JsonLines() if form == JSON else logging.Formatter(LINE))
    chosen = level or env.get(LEVEL) or "INFO"
    logging.basicConfig(level=chosen.upper(), handlers=[lines])
