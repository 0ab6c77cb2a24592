"""Whose filters a change may concern, without asking each. Pure.

A filter lies under the values of one of its keys, the one that fewest tasks
share; so a change looks only at filters that agree with it in that. Which filters
with wildcards the name of a task, worker or queue fits is remembered: names are few.
What is found here may match; whether it does is for the filter to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from herald_monitor.model.changes import Change
from herald_monitor.model.filters import GLOBS, Filter
from herald_monitor.model.patterns import PatternSet, is_glob
from herald_monitor.model.shape import TaskImage

G = TypeVar("G")

KEYS = ("ids", "parent", "group", "root", "tag", "worker", "queue", "name", "state")
"""Keys of a filter, those that tell tasks apart best first."""

MAX_NAMES = 4_096
"""Names of which is remembered what they fit."""

Place = tuple[str, str]
"""A key and one of its values."""


def places_of(filter_: Filter) -> list[Place]:
    """Return under what `filter_` lies; empty if any task may match."""
    for key in KEYS:
        values: tuple[str, ...] | None = getattr(filter_, key)
        if values is not None and not (key in GLOBS and any(map(is_glob, values))):
            return [(key, value) for value in values]
    return []


PATTERNS: dict[str, Callable[[Filter], PatternSet]] = {
    "name": lambda filter_: filter_.names,
    "worker": lambda filter_: filter_.workers,
    "queue": lambda filter_: filter_.queues,
}
"""The compiled values of each key with wildcards, the best first."""


def wild_key_of(filter_: Filter) -> str | None:
    """Return the key by whose wildcards `filter_` is found; None: by none."""
    given = (key for key in PATTERNS if getattr(filter_, key) is not None)
    return next(given, None)


class FilterIndex(Generic[G]):
    """Groups (of watchers, say), each known by a filter that no other one has."""

    def __init__(self) -> None:
        self._placed: dict[Place, dict[int, G]] = {}
        self._anywhere: dict[int, G] = {}
        self._wild: dict[str, dict[int, tuple[Filter, G]]] = {
            key: {} for key in PATTERNS
        }
        """By key, those that ask for values with wildcards, and for nothing better."""
        self._fitting: dict[Place, dict[int, G]] = {}
        """Of a value that came, those of `_wild` that it fits."""
        self._used: dict[str, int] = dict.fromkeys(KEYS, 0)
        """How many entries there are for each key."""

    def add(self, filter_: Filter, group: G) -> None:
        """Find `group` by `filter_` from now on."""
        places = places_of(filter_)
        for place in places:
            self._placed.setdefault(place, {})[id(group)] = group
            self._used[place[0]] += 1
        key = wild_key_of(filter_)
        if not places and key is not None:
            self._wild[key][id(group)] = (filter_, group)
            self._fitting.clear()
        elif not places:
            self._anywhere[id(group)] = group

    def discard(self, filter_: Filter, group: G) -> None:
        """Forget what `add` was told."""
        places = places_of(filter_)
        for place in places:
            found = self._placed.get(place, {})
            if found.pop(id(group), None) is not None:
                self._used[place[0]] -= 1
            if not found:
                self._placed.pop(place, None)
        key = wild_key_of(filter_)
        if not places and key is not None:
            self._wild[key].pop(id(group), None)
            self._fitting.clear()
        elif not places:
            self._anywhere.pop(id(group), None)

    def candidates(self, change: Change) -> Iterable[G]:
        """Return the groups that `change` may concern, each once."""
        found = dict(self._anywhere)
        if change.task is None or (change.gone and change.before is None):
            self._add_unknown(change, found)
        else:
            for key, value in self._asked(change, change.task):
                found.update(self._placed.get((key, value), {}))
            for place in self._named(change, change.task):
                found.update(self._fits(place))
        return found.values()

    def _named(self, change: Change, task: TaskImage) -> Iterator[Place]:
        """Yield the names with which `task` may fit wildcards, as it is and was."""
        if self._wild["name"] and task.name is not None:
            yield "name", task.name
        for key in ("worker", "queue"):
            if self._wild[key]:
                moments = (task, change.before)
                values = {getattr(one, key) for one in moments if one is not None}
                yield from ((key, value) for value in values if value is not None)

    def _fits(self, place: Place) -> dict[int, G]:
        known = self._fitting.get(place)
        if known is None:
            if len(self._fitting) >= MAX_NAMES:
                self._fitting.clear()
            key, value = place
            known = self._fitting[place] = {
                number: group
                for number, (filter_, group) in self._wild[key].items()
                if PATTERNS[key](filter_).matches(value)
            }
        return known

    def _add_unknown(self, change: Change, found: dict[int, G]) -> None:
        """Nobody knows what it was (or it is no task): all that may be about its id."""
        for (key, value), groups in self._placed.items():
            if key != "ids" or value == change.id:
                found.update(groups)
        for wild in self._wild.values():
            found.update({number: group for number, (_, group) in wild.items()})

    def _asked(self, change: Change, task: TaskImage) -> Iterator[Place]:
        """Yield where filters for `task` lie, as it is and as it was."""
        used = self._used
        for key, value in (
            ("ids", task.id),
            ("parent", task.parent_id),
            ("group", task.group_id),
            ("root", task.root_id or task.id),
            ("name", task.name),
        ):
            if value is not None and used[key]:
                yield key, value
        if used["tag"]:
            yield from (("tag", tag) for tag in task.tags or ())
        for moment in (task, change.before):
            if moment is not None:
                for key in ("state", "worker", "queue"):
                    value = getattr(moment, key)
                    if value is not None and used[key]:
                        yield key, value
