"""Which part of a query the index of declared keys answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.patterns import compile_glob
from herald_core.model.queries.argument_index import list_query_terms
from herald_core.model.queries.task_query import TaskQuery
from herald_core.store.index_file import read_index_times
from herald_core.store.key_value import KeyValueStore

REREAD_S = 10.0
"""Seconds after which the declared keys are read again."""

IndexTimes = Mapping[tuple[str, str], float]
"""Since when tasks are indexed (unix seconds), by glob of names and path."""


class IndexedPart(NamedTuple):
    """Tags that all matching tasks have which arrived at or after `since`."""

    tags: tuple[str, ...]
    since: float


class IndexPlanner:
    """Splits queries by the declared keys, which monitors note in the store."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._times: IndexTimes = {}
        self._read_at = float("-inf")

    async def split(self, query: TaskQuery) -> list[TaskQuery]:
        """Return the queries that together find what `query` does, newest first.

        One by the index, for tasks that arrived since its key is declared, and one for
        those before; `[query]` if no declared key fits.
        """
        if not any(term.path for term in query.terms):
            return [query]
        found = find_indexed_part(query, await self._read_times())
        return [query] if found is None else split_query(query, found)

    async def _read_times(self) -> IndexTimes:
        now = time.monotonic()
        if now - self._read_at >= REREAD_S:
            self._times = await read_index_times(self._store)
            self._read_at = now
        return self._times


def find_indexed_part(query: TaskQuery, times: IndexTimes) -> IndexedPart | None:
    """Return the part of `query` that a declared key answers, if there is one."""
    for term in query.terms:
        tags = list_query_terms(term) if term.path else None
        path = ".".join((term.place, *term.path))
        since = _find_since(path, query.filter.name, times)
        if tags is not None and since is not None:
            return IndexedPart(tags, since)
    return None


def split_query(query: TaskQuery, part: IndexedPart) -> list[TaskQuery]:
    """Return the indexed part of `query`, and the part before it."""
    after = part.since if query.after is None else max(query.after, part.since)
    before = part.since if query.before is None else min(query.before, part.since)
    tagged = query.filter.intersect(Filter(tag=part.tags))
    return [
        msgspec.structs.replace(query, filter=tagged, after=after),
        msgspec.structs.replace(query, before=before),
    ]


def _find_since(
    path: str, names: Iterable[str] | None, times: IndexTimes
) -> float | None:
    """Return since when `path` is indexed for all `names`; None if for some it is not.

    `names` are values of a filter, which may hold wildcards; None are all names.
    """
    latest = float("-inf")
    for name in ("*",) if names is None else names:
        known = [
            since
            for (glob, declared), since in times.items()
            if declared == path and _matches_all(glob, name)
        ]
        if not known:
            return None
        latest = max(latest, min(known))
    return latest


def _matches_all(glob: str, name: str) -> bool:
    """Return True if `glob` matches whatever `name`, perhaps a glob itself, does."""
    return glob == name or ("?" not in glob and compile_glob(glob)(name))
