"""Whose filters a change may concern, without asking each. Pure.

A filter lies under the values of one of its keys, the one that fewest tasks
share; so a change looks only at filters that agree with it in that. Which names
with wildcards a task's name fits is remembered: names are few. Filters with
wildcards elsewhere only are looked at each time. What is found here may match;
whether it does is for the filter to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from herald_monitor.model.changes import Change
from herald_monitor.model.filters import GLOBS, Filter, glob, is_glob
from herald_monitor.model.shape import TaskImage

G = TypeVar("G")

KEYS = ("ids", "parent", "group", "root", "tag", "worker", "queue", "name", "state")
"""Keys of a filter, those that tell tasks apart best first."""

NAMES = 4_096
"""Names of tasks of which is remembered what they fit."""

Place = tuple[str, str]
"""A key and one of its values."""


def places_of(filter_: Filter) -> list[Place]:
    """Return under what `filter_` lies; empty if any task may match."""
    for key in KEYS:
        values: tuple[str, ...] | None = getattr(filter_, key)
        if values is not None and not (key in GLOBS and any(map(is_glob, values))):
            return [(key, value) for value in values]
    return []


class FilterIndex(Generic[G]):
    """Groups (of watchers, say), each known by a filter that no other one has."""

    def __init__(self) -> None:
        self._placed: dict[Place, dict[int, G]] = {}
        self._anywhere: dict[int, G] = {}
        self._wild: dict[int, tuple[Filter, G]] = {}
        """Those that ask for names with wildcards, and for nothing better."""
        self._fitting: dict[str, dict[int, G]] = {}
        """Of a name that came, those of `_wild` whose names it fits."""
        self._used: dict[str, int] = dict.fromkeys(KEYS, 0)
        """How many entries there are for each key."""

    def add(self, filter_: Filter, group: G) -> None:
        """Find `group` by `filter_` from now on."""
        places = places_of(filter_)
        for place in places:
            self._placed.setdefault(place, {})[id(group)] = group
            self._used[place[0]] += 1
        if not places and filter_.name is not None:
            self._wild[id(group)] = (filter_, group)
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
        if not places and self._wild.pop(id(group), None) is not None:
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
            if self._wild and change.task.name is not None:
                found.update(self._fits(change.task.name))
        return found.values()

    def _fits(self, name: str) -> dict[int, G]:
        known = self._fitting.get(name)
        if known is None:
            if len(self._fitting) >= NAMES:
                self._fitting.clear()
            known = self._fitting[name] = {
                key: group
                for key, (filter_, group) in self._wild.items()
                if any(glob(pattern)(name) for pattern in filter_.name or ())
            }
        return known

    def _add_unknown(self, change: Change, found: dict[int, G]) -> None:
        """Nobody knows what it was (or it is no task): all that may be about its id."""
        for (key, value), groups in self._placed.items():
            if key != "ids" or value == change.id:
                found.update(groups)
        found.update({key: group for key, (_, group) in self._wild.items()})

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
