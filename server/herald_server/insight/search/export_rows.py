"""Exported tasks as CSV, JSON or NDJSON, piece by piece. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.queries.value_range import compute_wait_s
from herald_core.model.tasks.views import TaskView, to_dict

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
}
"""Media types, by the name of the format."""

WAIT_COLUMN = "wait"
COLUMNS = (*TaskView.__struct_fields__, WAIT_COLUMN)
"""Columns that there are: the fields of a task, and `wait` in seconds."""

DEFAULT_COLUMNS = (
    *("id", "name", "state", "queue", "worker"),
    *("submitted_at", "received_at", "started_at", "finished_at"),
    *("runtime", "wait", "attempt", "args", "kwargs", "result", "exception"),
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet runs as a formula (OWASP: CSV injection)."""


class ExportSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands at the end of an export. `whole` is False if tasks are missing."""

    exported: int
    searched: int
    whole: bool
    message: str = ""


def parse_format(text: str | None) -> str:
    """Return the format that was requested. Raises `InvalidInput`."""
    name = text or "csv"
    if name not in FORMATS:
        raise InvalidInput(
            f"format is one of {', '.join(FORMATS)}, not {name[:40]!r}", "format"
        )
    return name


def parse_columns(text: str | None) -> tuple[str, ...]:
    """Return the columns of a list with commas. Raises `InvalidInput`."""
    names = [part.strip() for part in (text or "").split(",") if part.strip()]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise InvalidInput(
            f"unknown column {unknown[0][:40]!r}; columns are {', '.join(COLUMNS)}",
            "columns",
        )
    return tuple(dict.fromkeys(names)) or DEFAULT_COLUMNS


def select_columns(
    task: TaskView, columns: Sequence[str], now: float
) -> dict[str, object]:
    """Return the values of `task` in `columns`, None where one is not known."""
    values = to_dict(task)
    if WAIT_COLUMN in columns:
        wait_s = compute_wait_s(task, now)
        values[WAIT_COLUMN] = None if wait_s is None else round(wait_s, 3)
    return {name: values.get(name) for name in columns}


class ExportWriter:
    """Formats tasks in `columns`; `now` (unix seconds) is for those that wait."""

    def __init__(self, format_: str, columns: Sequence[str], now: float) -> None:
        self._format = format_
        self._columns = columns
        self._now = now
        self._is_first = True

    def begin(self) -> bytes:
        """Return what stands before the first task."""
        if self._format == "csv":
            return _format_csv_row(self._columns)
        if self._format == "json":
            return b'{"tasks":['
        return b""

    def format_tasks(self, tasks: Sequence[TaskView]) -> bytes:
        """Return `tasks`, one a line or an item."""
        rows = (select_columns(task, self._columns, self._now) for task in tasks)
        return b"".join(map(self._format_task, rows))

    def end(self, summary: ExportSummary) -> bytes:
        """Return what stands behind the last task: a trailer that tells the limit.

        In CSV it is a row that begins with `#`, and only there if tasks are missing.
        """
        if self._format == "csv":
            return b"" if summary.whole else _format_csv_row([f"# {summary.message}"])
        if self._format == "json":
            return b'],"export":' + msgspec.json.encode(summary) + b"}\n"
        return msgspec.json.encode({"export": summary}) + b"\n"

    def _format_task(self, values: Mapping[str, object]) -> bytes:
        if self._format == "csv":
            return _format_csv_row(list(map(_to_cell, values.values())))
        known = {name: value for name, value in values.items() if value is not None}
        body = msgspec.json.encode(known)
        if self._format == "ndjson":
            return body + b"\n"
        comma = b"" if self._is_first else b",\n"
        self._is_first = False
        return comma + body


def _to_cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet runs as a formula."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, str):
        text = value
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    else:
        text = msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _format_csv_row(cells: Sequence[str]) -> bytes:
    """Return a row as RFC 4180 has it."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
