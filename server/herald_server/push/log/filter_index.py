"""Index from changes to filters that may match, to avoid testing each filter. Pure.

A filter is indexed by the values of its most selective key, so a change is compared
only with filters that share such a value. For filters with globs, the matches of each
task, worker and queue name are cached: such names are few. A candidate may match; the
filter decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from herald_core.model.changes import Change
from herald_core.model.filters import GLOBS, Filter
from herald_core.model.patterns import PatternSet, is_glob

G = TypeVar("G")

INDEX_KEYS = (
    "ids",
    "parent",
    "group",
    "root",
    "tag",
    "failure",
    "worker",
    "queue",
    "name",
    "state",
)
"""Keys of a filter, the most selective first."""

MAX_NAMES = 4_096
"""Maximum number of values whose matches are cached."""

IndexTerm = tuple[str, str]
"""A key and one of its values."""


def list_terms(filter_: Filter) -> list[IndexTerm]:
    """Return the index terms of `filter_`; empty if any task may match."""
    for key in INDEX_KEYS:
        values: tuple[str, ...] | None = getattr(filter_, key)
        if values is not None and not (key in GLOBS and any(map(is_glob, values))):
            return [(key, value) for value in values]
    return []


PATTERN_KEYS: dict[str, Callable[[Filter], PatternSet]] = {
    "name": lambda filter_: filter_.names,
    "worker": lambda filter_: filter_.workers,
    "queue": lambda filter_: filter_.queues,
}
"""The compiled values of each key with wildcards, the best first."""


def find_glob_key(filter_: Filter) -> str | None:
    """Return the key by whose globs `filter_` is found; None if there is none."""
    given = (key for key in PATTERN_KEYS if getattr(filter_, key) is not None)
    return next(given, None)


class FilterIndex(Generic[G]):
    """Index of groups (for example of subscribers), each with a distinct filter."""

    def __init__(self) -> None:
        self._by_term: dict[IndexTerm, dict[int, G]] = {}
        self._without_ids: dict[int, G] = {}
        """Those of `_by_term` that ask for no ids: any task may be theirs."""
        self._unindexed: dict[int, G] = {}
        self._glob_filters: dict[str, dict[int, tuple[Filter, G]]] = {
            key: {} for key in PATTERN_KEYS
        }
        """By key, those that ask for values with wildcards, and for nothing better."""
        self._glob_matches: dict[IndexTerm, dict[int, G]] = {}
        """Of a value that came, those of `_glob_filters` that it fits."""
        self._term_counts: dict[str, int] = dict.fromkeys(INDEX_KEYS, 0)
        """How many entries there are for each key."""

    def add(self, filter_: Filter, group: G) -> None:
        """Add `group` with `filter_`."""
        places = list_terms(filter_)
        for place in places:
            self._by_term.setdefault(place, {})[id(group)] = group
            self._term_counts[place[0]] += 1
        if places and filter_.ids is None:
            self._without_ids[id(group)] = group
        key = find_glob_key(filter_)
        if not places and key is not None:
            self._glob_filters[key][id(group)] = (filter_, group)
            self._add_glob_matches(key, filter_, group)
        elif not places:
            self._unindexed[id(group)] = group

    def _add_glob_matches(self, key: str, filter_: Filter, group: G) -> None:
        """Add a filter to the values that it fits.

        Were they all forgotten instead, many that join would each cost all the others.
        """
        patterns = PATTERN_KEYS[key](filter_)
        for (known_key, value), found in self._glob_matches.items():
            if known_key == key and patterns.is_match(value):
                found[id(group)] = group

    def discard(self, filter_: Filter, group: G) -> None:
        """Remove `group` with `filter_`."""
        places = list_terms(filter_)
        for place in places:
            found = self._by_term.get(place, {})
            if found.pop(id(group), None) is not None:
                self._term_counts[place[0]] -= 1
            if not found:
                self._by_term.pop(place, None)
        self._without_ids.pop(id(group), None)
        key = find_glob_key(filter_)
        if not places and key is not None:
            self._glob_filters[key].pop(id(group), None)
            for matches in self._glob_matches.values():
                matches.pop(id(group), None)
        elif not places:
            self._unindexed.pop(id(group), None)

    def find_candidates(self, change: Change) -> Iterable[G]:
        """Return the groups that `change` may concern, each once."""
        task, before = change.task, change.before
        found = dict(self._unindexed)
        if task is None or (before is None and change.is_deletion):
            self._add_by_id(change, found)
            return found.values()
        places = [
            ("ids", task.id),
            ("parent", task.parent_id),
            ("group", task.group_id),
            ("root", task.root_id or task.id),
            ("name", task.name),
            *[("tag", tag) for tag in task.tags or ()],
        ]
        for at in (task, before):
            if at is not None:
                places += (
                    ("state", at.state),
                    ("worker", at.worker),
                    ("queue", at.queue),
                    ("failure", at.failure),
                )
        for key, value in places:
            if value is not None and self._term_counts[key]:
                found.update(self._by_term.get((key, value), {}))
            if value is not None and self._glob_filters.get(key):
                found.update(self._match_globs((key, value)))
        return found.values()

    def _match_globs(self, place: IndexTerm) -> dict[int, G]:
        known = self._glob_matches.get(place)
        if known is None:
            if len(self._glob_matches) >= MAX_NAMES:
                self._glob_matches.clear()
            key, value = place
            known = self._glob_matches[place] = {
                number: group
                for number, (filter_, group) in self._glob_filters[key].items()
                if PATTERN_KEYS[key](filter_).is_match(value)
            }
        return known

    def _add_by_id(self, change: Change, found: dict[int, G]) -> None:
        """Add all groups that may match the id: the previous task is not known."""
        found.update(self._by_term.get(("ids", change.id), {}))
        found.update(self._without_ids)
        for wild in self._glob_filters.values():
            found.update({number: group for number, (_, group) in wild.items()})
