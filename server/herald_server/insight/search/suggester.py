"""Suggestions for a query text, out of what the caller may see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing

import msgspec

from herald_core.errors import InvalidQuery
from herald_core.model.filters import Filter
from herald_core.model.patterns import compile_glob
from herald_core.model.queries.argument_values import find_argument
from herald_core.model.queries.query_text import parse_query_text
from herald_core.model.queries.task_query import TaskQuery
from herald_core.model.queries.text_term import TextTerm
from herald_core.model.rollups.rollup import OTHER_PART
from herald_core.model.tasks.views import TaskView
from herald_core.store.index_file import read_index_times
from herald_core.store.ports import Store
from herald_server.auth import request_context
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.catalog.catalog import Catalog
from herald_server.insight.search.suggestions import (
    KnownValues,
    LastWord,
    Suggestion,
    list_suggestions,
    parse_last_word,
)
from herald_server.insight.search.task_search import TaskSearch
from herald_server.insight.stats.failures import RECENT_S
from herald_server.insight.stats.rollup_cache import RollupCache

SAMPLE_TASKS = 500
"""The newest tasks whose names, workers, queues and tags are suggested."""

TASKS_PER_VALUE = 5
"""Tasks that are looked for each suggested value of an argument: values repeat."""

TTL_S = 5.0
"""Seconds for which what was read is suggested."""

MAX_CACHED = 64
"""Task filters of tokens whose values are remembered."""


class QuerySuggester:
    """Suggests what may be written next.

    A token narrowed to some tasks is suggested only what its newest `SAMPLE_TASKS`
    have. Any other is suggested all known names, workers and queues too.
    """

    def __init__(
        self,
        store: Store,
        search: TaskSearch,
        rollups: RollupCache,
        catalog: Callable[[], Catalog],
    ) -> None:
        self._store = store
        self._search = search
        self._rollups = rollups
        self._catalog = catalog
        self._known: dict[Filter | None, tuple[float, KnownValues]] = {}

    async def suggest(self, text: str, limit: int) -> list[Suggestion]:
        """Return up to `limit` suggestions for the end of `text`.

        Raises `StoreError`.
        """
        word = parse_last_word(text)
        values = await self._find_values(word, limit) if word.path[1:] else []
        return list_suggestions(word, await self._read_known(), limit, values)

    async def _find_values(self, word: LastWord, limit: int) -> list[str]:
        """Return values of the argument that `word` names, those seen last first.

        They are those of the tasks that the words before select, out of as many as one
        step of a search looks at.
        """
        place, *steps = word.path
        term = TextTerm((f"{word.written}*",), place, tuple(steps))
        query = _parse_before(word.before)
        query = msgspec.structs.replace(query, terms=(*query.terms, term), sort=None)
        found: list[TaskView] = []
        most = limit * TASKS_PER_VALUE
        async with aclosing(self._search.iter_steps(query, limit=most)) as walk:
            async for step in walk:
                found += step.tasks
                break
        read = [find_argument(getattr(task, place), steps) for task in found]
        return list(dict.fromkeys(value for value in read if value))

    async def _read_known(self) -> KnownValues:
        only = request_context.get_task_filter()
        now = time.monotonic()
        read_at, known = self._known.get(only, (float("-inf"), KnownValues()))
        if now - read_at < TTL_S:
            return known
        known = await (self._read_all() if only is None else self._read_visible())
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[only] = now, known
        return known

    async def _read_visible(self) -> KnownValues:
        async with hold_answer_turn():
            page = await self._store.list_tasks(Filter(), limit=SAMPLE_TASKS)
        times = await read_index_times(self._store)
        return collect_values(page.tasks, times)

    async def _read_all(self) -> KnownValues:
        now = time.time()
        seen = await self._read_visible()
        day = (await self._rollups.read_day(RECENT_S, now)).whole
        counted = [name for name in sorted(day.names) if name != OTHER_PART]
        catalog = [kind.celery_name for kind in self._catalog()]
        workers = [one.id for one in await self._store.list_workers(now=now)]
        queues = [one.name for one in await self._store.list_queues()]
        times = await read_index_times(self._store)
        return msgspec.structs.replace(
            seen,
            names=_merge(seen.names, counted, catalog),
            workers=_merge(seen.workers, sorted(workers)),
            queues=_merge(seen.queues, sorted(queues)),
            paths=_merge(seen.paths, sorted({path for _, path in times})),
        )


def collect_values(
    tasks: Sequence[TaskView], declared: Iterable[tuple[str, str]]
) -> KnownValues:
    """Return the values of `tasks`, those seen last first.

    `declared` are globs of names with the path of an argument that is indexed. A path
    counts if one of the tasks has such a name; its values are no tags to suggest.
    """
    names = _merge(task.name for task in tasks)
    paths = _merge(
        path for glob, path in declared if any(map(compile_glob(glob), names))
    )
    of_paths = tuple(f"{path}:" for path in paths)
    tags = (tag for task in tasks for tag in task.tags or ())
    return KnownValues(
        names=names,
        workers=_merge(task.worker for task in tasks),
        queues=_merge(task.queue for task in tasks),
        tags=_merge(tag for tag in tags if not tag.startswith(of_paths)),
        paths=paths,
    )


def _parse_before(text: str) -> TaskQuery:
    """Return the query of the words before; all tasks if they are no query."""
    try:
        return parse_query_text(text, time.time())
    except InvalidQuery:
        return TaskQuery()


def _merge(*parts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part if one))
