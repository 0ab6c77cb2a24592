"""Short forms of answers: what is empty left out, long texts cut. Pure.

A model reads every answer whole, so a list shows what tells its items apart. The
argument `detail="full"` of a tool returns all fields as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

DetailLevel = Literal["short", "full"]
SHORT: Final = "short"
FULL: Final = "full"

SHORT_TOOLS = frozenset(
    (
        *("list_tasks", "list_active_tasks", "get_task_history", "get_group_status"),
        *("list_workers", "list_queues", "wait_for_changes", "wait_for_group"),
    )
)
"""The tools that take `detail`."""

MAX_TEXT_CHARS = 160
"""Characters of an exception in a list."""

MAX_TAGS = 5
"""Tags of a task in a list."""

TASK_FIELDS = (
    *("id", "name", "state", "attempt", "queue", "worker", "eta", "group_id"),
    *("progress", "exception", "runtime", "reason", "updated_at"),
)
"""Fields of a changed task in its short form."""


def cut_text(text: str | None, max_chars: int = MAX_TEXT_CHARS) -> str | None:
    """Return `text`, with `…` in place of what is beyond `max_chars` characters."""
    if text is None or len(text) <= max_chars:
        return text
    return text[: max_chars - 1] + "…"


def cut_time(at: str | None, detail: DetailLevel = SHORT) -> str | None:
    """Return an RFC 3339 time in UTC, in short without the fraction of its second."""
    seconds = len("2026-01-31T12:00:00")
    if at is None or detail == FULL or len(at) < seconds + 2 or at[-1] != "Z":
        return at
    return at[:seconds] + "Z"


def shorten_task(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image of a task without what a list need not tell."""
    row = {key: view[key] for key in TASK_FIELDS if view.get(key) is not None}
    for key in ("exception", "reason"):
        if key in row:
            row[key] = cut_text(row[key])
    for key in ("eta", "updated_at"):
        if key in row:
            row[key] = cut_time(row[key])
    if tags := view.get("tags"):
        row["tags"] = list(tags)[:MAX_TAGS]
    return row


def remove_nulls(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `answer` with no nulls in its rows: the objects in its lists.

    Its own fields stay, so that a null of the answer itself is still said.
    """
    return {key: _clean(value, in_list=False) for key, value in answer.items()}


def _clean(value: object, *, in_list: bool) -> object:
    if isinstance(value, list):
        return [_clean(one, in_list=True) for one in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value).items()
    return {
        key: _clean(one, in_list=in_list)
        for key, one in pairs
        if not (in_list and (one is None or (key == "tags" and not one)))
    }
