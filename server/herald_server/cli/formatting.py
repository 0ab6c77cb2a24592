"""Format tasks for the terminal. Pure: click removes colours where needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
import msgspec

from herald_core.model.events.event import Progress
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView

COLOURS = {
    views.RECEIVED: "blue",
    views.STARTED: "cyan",
    views.RETRY: "yellow",
    views.SUCCESS: "green",
    views.FAILURE: "red",
    views.REVOKED: "magenta",
    views.REJECTED: "magenta",
    views.IGNORED: "magenta",
    views.LOST: "red",
}

STATE_WIDTH = max(len(state) for state in views.STATES)
MAX_TEXT_CHARS = 100
"""Characters of a foreign text in a line."""


def cut_first_line(text: str | None, most: int = MAX_TEXT_CHARS) -> str:
    """Return the first line of an untrusted text, truncated, without
    control characters."""
    lines = (text or "").strip().splitlines() or [""]
    return clean_line(lines[0], most)


def clean_line(line: str, most: int = MAX_TEXT_CHARS) -> str:
    """Return an untrusted line, truncated, without control characters."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in line.expandtabs(4))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def clean_text(text: str) -> str:
    """Return a text of several lines without control characters."""
    return "\n".join(clean_line(line, len(text) + 1) for line in text.split("\n"))


def to_json_line(value: object) -> bytes:
    """Return a value as one line of JSON without terminal control characters.

    JSON itself escapes the first 32 characters only.
    """
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escape(c) for c in text)
    return text.encode()


def _escape(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def format_state(name: str, width: int = STATE_WIDTH) -> str:
    """Return a state in its colour."""
    return click.style(cut_first_line(name).ljust(width), fg=COLOURS.get(name))


def format_clock(at: str | None) -> str:
    """Return an RFC 3339 time as local time of day."""
    return _format_local(at, "%H:%M:%S.%f")[:12].ljust(12)


def format_moment(at: str | None) -> str:
    """Return an RFC 3339 time as local date and time."""
    return _format_local(at, "%Y-%m-%d %H:%M:%S.%f")[:23]


def _format_local(at: str | None, how: str) -> str:
    try:
        return (
            datetime.fromtimestamp(views.from_rfc3339(at or ""))
            .astimezone()
            .strftime(how)
        )
    except (ValueError, OverflowError, OSError):
        return ""


def format_duration(seconds: float) -> str:
    """Return a duration as text."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def format_age(at: str | None, now: float) -> str:
    """Return the age of an RFC 3339 time at `now` (unix seconds)."""
    try:
        return f"{format_duration(max(0.0, now - views.from_rfc3339(at or '')))} ago"
    except ValueError:
        return ""


def format_runtime(task: TaskView) -> str:
    """Return the runtime of a task that has ended; else empty."""
    if task.runtime is not None:
        return format_duration(task.runtime)
    if task.started_at and task.finished_at:
        ran = views.from_rfc3339(task.finished_at) - views.from_rfc3339(task.started_at)
        return format_duration(ran) if ran >= 0 else ""
    return ""


def get_percent(progress: Progress | None) -> float | None:
    """Return the progress of a task, from 0 to 100; None if it reports none."""
    if progress is None:
        return None
    if progress.percent is not None:
        return progress.percent
    if progress.current is None or not progress.total:
        return None
    return min(100.0, max(0.0, 100 * progress.current / progress.total))


def format_bar(done: float, width: int = 24) -> str:
    """Return a bar that is `done` percent full."""
    full = round(done / 100 * width)
    return "█" * full + "░" * (width - full)


def format_progress(task: TaskView) -> str:
    """Return the progress of a task as text, or its custom state."""
    if task.final or task.progress is None:
        return cut_first_line(task.custom_state)
    done = get_percent(task.progress)
    parts = [
        f"{done:.0f} %" if done is not None else "",
        cut_first_line(task.progress.message),
    ]
    return " ".join(part for part in parts if part)


def format_task(task: TaskView) -> str:
    """Return a task as one line: time, state, name, id and details."""
    attempt = f"attempt {task.attempt}" if (task.attempt or 1) > 1 else ""
    ended = cut_first_line(task.exception) if task.exception else ""
    doubtful = "contradictory" if task.conflict else ""
    known_from = task.source if task.source not in (None, "event") else ""
    said = [
        format_state(task.state),
        cut_first_line(task.name) or "?",
        click.style(cut_first_line(task.id), dim=True),
        attempt,
        format_progress(task),
        format_runtime(task),
        cut_first_line(task.worker),
        click.style(ended, fg="red") if ended else "",
        f"(known from: {cut_first_line(known_from)})" if known_from else "",
        doubtful,
    ]
    return (
        format_clock(task.updated_at) + "  " + "  ".join(part for part in said if part)
    )


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines below `head`; the last column is not padded."""
    listed = [[click.style(h, bold=True) for h in head], *map(list, rows)]
    widths = [max(map(_measure_width, column)) for column in zip(*listed, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _measure_width(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in listed
    ]


def _measure_width(cell: str) -> int:
    return len(click.unstyle(cell))
