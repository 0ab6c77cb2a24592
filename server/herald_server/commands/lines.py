"""Tasks as lines for people. Pure: colours are cut off by whoever prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
import msgspec

from herald_monitor.model import shape
from herald_monitor.model.events import Progress
from herald_monitor.model.shape import TaskImage

COLOURS = {
    shape.RECEIVED: "blue",
    shape.STARTED: "cyan",
    shape.RETRY: "yellow",
    shape.SUCCESS: "green",
    shape.FAILURE: "red",
    shape.REVOKED: "magenta",
    shape.REJECTED: "magenta",
    shape.IGNORED: "magenta",
    shape.LOST: "red",
}

WIDTH = max(len(state) for state in shape.STATES)
LONG = 100
"""Characters of a foreign text in a line."""


def plain(text: str | None, most: int = LONG) -> str:
    """Return the first line of a foreign text, cut, without control characters."""
    lines = (text or "").strip().splitlines() or [""]
    return clean(lines[0], most)


def clean(line: str, most: int = LONG) -> str:
    """Return a foreign line, cut, without what would control a terminal."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in line.expandtabs(4))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def harmless(text: str) -> str:
    """Return a text of several lines without what would control a terminal."""
    return "\n".join(clean(line, len(text) + 1) for line in text.split("\n"))


def to_json_line(value: object) -> bytes:
    """Return a value as one line of JSON in which nothing controls a terminal.

    JSON itself escapes the first 32 characters only.
    """
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return text.encode()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def state(name: str, width: int = WIDTH) -> str:
    """Return a state in its colour."""
    return click.style(plain(name).ljust(width), fg=COLOURS.get(name))


def clock(at: str | None) -> str:
    """Return an RFC 3339 time as a time of the day here."""
    return _local(at, "%H:%M:%S.%f")[:12].ljust(12)


def moment(at: str | None) -> str:
    """Return an RFC 3339 time as date and time here."""
    return _local(at, "%Y-%m-%d %H:%M:%S.%f")[:23]


def _local(at: str | None, how: str) -> str:
    try:
        return datetime.fromtimestamp(shape.unix(at or "")).astimezone().strftime(how)
    except (ValueError, OverflowError, OSError):
        return ""


def span(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def ago(at: str | None, now: float) -> str:
    """Return how long before `now` (unix seconds) an RFC 3339 time lies."""
    try:
        return f"{span(max(0.0, now - shape.unix(at or '')))} ago"
    except ValueError:
        return ""


def runtime(task: TaskImage) -> str:
    """Return how long a task ran, if it has ended."""
    if task.runtime is not None:
        return span(task.runtime)
    if task.started_at and task.finished_at:
        ran = shape.unix(task.finished_at) - shape.unix(task.started_at)
        return span(ran) if ran >= 0 else ""
    return ""


def percent(progress: Progress | None) -> float | None:
    """Return how far a task is, from 0 to 100, if it says so."""
    if progress is None:
        return None
    if progress.percent is not None:
        return progress.percent
    if progress.current is None or not progress.total:
        return None
    return min(100.0, max(0.0, 100 * progress.current / progress.total))


def bar(done: float, width: int = 24) -> str:
    """Return a bar that is `done` percent full."""
    full = round(done / 100 * width)
    return "█" * full + "░" * (width - full)


def how_far(task: TaskImage) -> str:
    """Return the progress of a task in words; what it called its end by itself."""
    if task.final or task.progress is None:
        return plain(task.custom_state)
    done = percent(task.progress)
    parts = [f"{done:.0f} %" if done is not None else "", plain(task.progress.message)]
    return " ".join(part for part in parts if part)


def task_line(task: TaskImage) -> str:
    """Return a task as one line: when, state, name, id, and what else there is."""
    attempt = f"attempt {task.attempt}" if (task.attempt or 1) > 1 else ""
    ended = plain(task.exception) if task.exception else ""
    doubtful = "contradictory" if task.conflict else ""
    known_from = task.source if task.source not in (None, "event") else ""
    said = [
        state(task.state),
        plain(task.name) or "?",
        click.style(plain(task.id), dim=True),
        attempt,
        how_far(task),
        runtime(task),
        plain(task.worker),
        click.style(ended, fg="red") if ended else "",
        f"(known from: {plain(known_from)})" if known_from else "",
        doubtful,
    ]
    return clock(task.updated_at) + "  " + "  ".join(part for part in said if part)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines of columns, `head` on top; the last column is open."""
    listed = [[click.style(h, bold=True) for h in head], *map(list, rows)]
    widths = [max(map(_width, column)) for column in zip(*listed, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _width(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in listed
    ]


def _width(cell: str) -> int:
    return len(click.unstyle(cell))
