"""The tasks that a bulk order is about: those of a filter, or of a list of ids."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.codec import to_json
from herald_core.model.filters import KEYS, MAX_LENGTH, parse_filter
from herald_core.model.queries.moments import parse_instant
from herald_core.model.queries.query_text import parse_query_text
from herald_core.model.queries.task_query import TaskQuery
from herald_core.model.tasks import views
from herald_core.model.tasks.views import STATES, TaskView, to_rfc3339
from herald_core.store.ports import TaskReader
from herald_server.control.bulk.order import CANCEL

PAGE_SIZE: Final = 500
MAX_SHOWN: Final = 1_000
"""Bytes of the values of one key that an order shows."""

RETRY_STATES: Final = (views.FAILURE, views.LOST, views.REJECTED)
"""The states of a retry's filter that names none: a task that succeeded is run again
only if that was asked for."""

CANCEL_STATES: Final = tuple(
    state for state in STATES if state not in views.FINAL_STATES
)

SELECTION_KEYS: Final = ("ids", "filter", "query", "after", "before", "at")

SCAN_TIMEOUT_S: Final = 20.0
"""Seconds in which the tasks of a query must be found."""


class TooManyTasks(InvalidInput):
    """More tasks are selected than one order may have."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Selected tasks: `ids`, or those of `query` at the time `at` (unix seconds).

    `given` is the request: the same tasks are selected if it is given again.
    """

    ids: tuple[str, ...] | None = None
    query: TaskQuery = TaskQuery()
    at: float = 0.0
    given: dict[str, Any] = {}

    def summarize(self) -> dict[str, Any]:
        """Return the request for people: without long lists."""
        if self.ids is not None:
            return {"ids": len(self.ids)}
        keys = {key: _shorten(vs) for key, vs in self.given["filter"].items()}
        return {**self.given, "filter": keys}


def parse_selection(
    given: Mapping[str, object], action: str, limit: int, now: float
) -> Selection:
    """Return the selection in `given`. Raises `InvalidInput`.

    Without states it selects those of the action. It ends at `at` (by default `now`),
    so that tasks which arrive later do not change what was seen.
    """
    chosen = [key for key in ("ids", "filter", "query") if given.get(key) is not None]
    if not chosen or ("ids" in chosen and len(chosen) > 1):
        raise InvalidInput(
            "give ids (a list), or a filter (an object) or query (a text)", "ids"
        )
    if chosen == ["ids"]:
        ids = _parse_ids(given["ids"], limit)
        return Selection(ids=ids, given={"ids": list(ids)})
    return _parse_query(given, action, now)


def _parse_query(given: Mapping[str, object], action: str, now: float) -> Selection:
    at = _parse_time(given.get("at"), "at") or now
    keys, text = given.get("filter"), given.get("query") or ""
    if keys is not None and not isinstance(keys, Mapping):
        raise InvalidInput("filter must be an object of filter keys", "filter")
    if not isinstance(text, str):
        raise InvalidInput("query must be a text", "query")
    filter_ = parse_filter(cast("Mapping[str, object]", keys or {}))
    query = parse_query_text(text, at)
    states = CANCEL_STATES if action == CANCEL else RETRY_STATES
    if filter_.state is None and query.filter.state is None:
        filter_ = msgspec.structs.replace(filter_, state=states)
    times = {key: _parse_time(given.get(key), key) for key in ("after", "before")}
    starts = [t for t in (query.after, times["after"]) if t is not None]
    ends = [t for t in (query.before, times["before"], at) if t is not None]
    shown = {key: getattr(filter_, key) for key in KEYS}
    return Selection(
        query=msgspec.structs.replace(
            query,
            filter=filter_.intersect(query.filter),
            after=max(starts, default=None),
            before=min(ends),
            sort=None,
        ),
        at=at,
        given={
            "filter": {k: list(v) for k, v in shown.items() if v is not None},
            **({"query": text} if text else {}),
            **{k: to_rfc3339(t) for k, t in times.items() if t is not None},
            "at": to_rfc3339(at),
        },
    )


def _parse_ids(given: object, limit: int) -> tuple[str, ...]:
    listed = cast("Sequence[object]", given) if isinstance(given, list | tuple) else ()
    ids = tuple(dict.fromkeys(one for one in listed if isinstance(one, str) and one))
    if not ids or len(ids) != len(set(listed)):
        raise InvalidInput("ids must be a list of task ids, at least one", "ids")
    if any(len(id_) > MAX_LENGTH for id_ in ids):
        raise InvalidInput(f"an id in ids is over {MAX_LENGTH} characters", "ids")
    if len(ids) > limit:
        raise _refuse_number(limit)
    return ids


def _parse_time(given: object, key: str) -> float | None:
    if given is None:
        return None
    at = parse_instant(given)
    if at is None:
        raise InvalidInput(
            f"{key} must be an RFC 3339 time, such as 2026-01-31T12:00:00Z", key
        )
    return at


def _refuse_number(limit: int) -> TooManyTasks:
    return TooManyTasks(
        f"one order takes at most {limit:,} tasks, and more are selected; narrow the "
        "selection, for example by name or by time"
    )


async def iter_selected(
    reader: TaskReader, selection: Selection, limit: int
) -> AsyncIterator[list[TaskView]]:
    """Yield the selected tasks, a page at a time. Raises `TooManyTasks`, `StoreError`.

    A selected id of which nothing is stored is a task of state `UNKNOWN`.
    """
    pages = (
        _iter_matching(reader, selection)
        if selection.ids is None
        else _iter_ids(reader, selection.ids)
    )
    seen = 0
    async for page in pages:
        seen += len(page)
        if seen > limit:
            raise _refuse_number(limit)
        yield page


async def _iter_matching(
    reader: TaskReader, selection: Selection
) -> AsyncIterator[list[TaskView]]:
    query, page = selection.query, None
    until = time.monotonic() + SCAN_TIMEOUT_S
    while True:
        found = await reader.list_tasks(
            query.filter,
            limit=PAGE_SIZE,
            page=page,
            after=query.after,
            before=query.before,
        )
        yield [task for task in found.tasks if query.matches(task, selection.at)]
        page = found.next
        if page is None:
            return
        if time.monotonic() >= until:
            raise TooManyTasks(
                f"the tasks were not found within {SCAN_TIMEOUT_S:.0f} s; narrow the "
                "selection, for example by name or by time"
            )


async def _iter_ids(
    reader: TaskReader, ids: Sequence[str]
) -> AsyncIterator[list[TaskView]]:
    for start in range(0, len(ids), PAGE_SIZE):
        part = ids[start : start + PAGE_SIZE]
        tasks = await reader.get_tasks(part)
        yield [
            task or TaskView(id=id_, state=views.UNKNOWN)
            for id_, task in zip(part, tasks, strict=True)
        ]


def _shorten(values: list[str]) -> object:
    if len(to_json(values)) <= MAX_SHOWN:
        return values
    return f"{len(values)} values"
