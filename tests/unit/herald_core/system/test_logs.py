"""Log lines as JSON: each a whole object, from every kind of process."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from herald_core.errors import InvalidInput
from herald_core.system import logs


def line(message: str, *args: object, **more: Any) -> dict[str, Any]:
    """Return what is logged, as whoever collects it reads it."""
    record = logging.LogRecord("h.x", logging.WARNING, "f", 1, message, args, None)
    vars(record).update(more)
    text = logs.JsonFormatter().format(record)
    assert "\n" not in text
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_line_is_one_object_whatever_is_said() -> None:
    told = line('%s said "no"\n\x1b[0m', "it", created=0.5)
    assert told["message"] == 'it said "no"\n\x1b[0m'
    assert (told["level"], told["logger"]) == ("warning", "h.x")
    assert told["at"] == "1970-01-01T00:00:00.500Z"
    assert told.keys() == {"at", "level", "logger", "message", "pid"}


def test_an_exception_is_told_with_its_traceback() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        told = line("failed", exc_info=sys.exc_info())
    assert told["exception"].endswith("ValueError: wrong")


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match="HERALD_LOG_FORMAT must be one of text, json"
    ):
        logs.configure(env={"HERALD_LOG_FORMAT": "xml"})


def test_a_process_logs_as_it_was_told() -> None:
    program = (
        "import logging; from click.testing import CliRunner\n"
        "import click; from herald_server.cli.server_options import *\n"
        "from herald_server.wiring.process_logs import log_to_stderr\n"
        "@click.command()\n"
        "@combine_options(LOG_OPTIONS)\n"
        "def c(log_level): log_to_stderr(log_level); logging.info('hello')\n"
        "c()"
    )
    words = [sys.executable, "-c", program, "--log-format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stderr)["message"] == "hello"


def text_line(message: str, *args: object) -> str:
    """Return what is logged for people."""
    record = logging.LogRecord("h.x", logging.WARNING, "f", 1, message, args, None)
    return logs.TextFormatter(logs.LINE_FORMAT).format(record)


@pytest.mark.parametrize(
    "forged", ["\n2026 ERROR x: y", "\r", "\x1b[2J", "\u2028", "\x9b"]
)
def test_nobody_else_can_forge_a_line(forged: str) -> None:
    line = text_line("a worker named %s", f"evil{forged}!")
    assert forged not in line
    assert len(line.splitlines()) == 1
    assert line.endswith("!")


def test_a_traceback_keeps_its_lines_and_loses_control_characters() -> None:
    try:
        raise ValueError("wrong \x1b[2J")
    except ValueError:
        record = logging.LogRecord(
            "h.x", logging.ERROR, "f", 1, "failed", (), sys.exc_info()
        )
    text = logs.TextFormatter(logs.LINE_FORMAT).format(record)
    assert len(text.splitlines()) > 2
    assert "\x1b" not in text


def test_lines_from_one_place_are_limited_and_counted() -> None:
    now = 0.0
    repeats = logs.RepeatFilter(lambda: now)

    def logged(place: int) -> logging.LogRecord | None:
        record = logging.LogRecord("x", logging.ERROR, "f", place, "no %s", (1,), None)
        return record if repeats.filter(record) else None

    assert sum(logged(1) is not None for _ in range(1_000)) == logs.MAX_REPEATS
    assert logged(2) is not None
    now = logs.PERIOD_S
    told = logged(1)
    assert told is not None
    assert told.getMessage() == f"no 1 ({1_000 - logs.MAX_REPEATS} more were left out)"
    again = logged(1)
    assert again is not None
    assert again.getMessage() == "no 1"
