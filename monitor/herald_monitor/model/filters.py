"""One filter for every door: WebSocket, SSE, HTTP, MCP, webhooks, command line.

Lists are OR, keys are AND; `*` and `?` are wild in name, worker and queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import msgspec

from herald_monitor.errors import BadFilter, TooManyValues
from herald_monitor.model.patterns import PatternSet, is_glob
from herald_monitor.model.shape import STATES, TaskImage

MAX_VALUES = 1_000
MAX_LENGTH = 512
MAX_GLOB_CHARS = 1_024
"""Characters of all values of one key that hold a wildcard: each takes time to
compile, and to try on a name that is new."""

GLOBS = frozenset(["name", "worker", "queue"])


class Before(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a change altered, as it was: enough to know whose filter it leaves.

    `attempt` is only given where it was another: a state that looks the same then
    is the state of another run.
    """

    state: str | None = None
    worker: str | None = None
    queue: str | None = None
    attempt: int | None = None


class Filter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, dict=True):
    """Which tasks somebody asks for. Empty matches every task."""

    ids: tuple[str, ...] | None = None
    name: tuple[str, ...] | None = None
    state: tuple[str, ...] | None = None
    worker: tuple[str, ...] | None = None
    queue: tuple[str, ...] | None = None
    root: tuple[str, ...] | None = None
    parent: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    tag: tuple[str, ...] | None = None
    also: Filter | None = None
    """A filter that must match too; nobody asks for it, it narrows who asks."""

    @cached_property
    def names(self) -> PatternSet:
        """The values of `name`, compiled once."""
        return PatternSet(self.name or ())

    @cached_property
    def workers(self) -> PatternSet:
        """The values of `worker`, compiled once."""
        return PatternSet(self.worker or ())

    @cached_property
    def queues(self) -> PatternSet:
        """The values of `queue`, compiled once."""
        return PatternSet(self.queue or ())

    def matches(self, task: TaskImage) -> bool:
        """Say whether `task` is asked for."""
        return (
            self._lasting(task)
            and self._passing(task.state, task.worker, task.queue)
            and (self.also is None or self.also.matches(task))
        )

    def matched(self, task: TaskImage, before: Before) -> bool:
        """Say whether `task` was asked for as it was `before` it changed."""
        return (
            self._lasting(task)
            and self._passing(before.state, before.worker, before.queue)
            and (self.also is None or self.also.matched(task, before))
        )

    def within(self, only: Filter | None) -> Filter:
        """Return the filter of what both match: never more than `only` does.

        It has the keys of both, so that a store finds by them; where both have one,
        `also` says the rest: wildcards and tags do not intersect.
        """
        if only is None:
            return self
        mine: dict[str, Any] = {key: getattr(self, key) for key in KEYS}
        merged = {k: getattr(only, k) if v is None else v for k, v in mine.items()}
        return Filter(**merged, also=only)

    def permits_name(self, name: str) -> bool:
        """Say whether a task of that name can match."""
        return (self.name is None or self.names.matches(name)) and (
            self.also is None or self.also.permits_name(name)
        )

    @property
    def size(self) -> int:
        """How many values it has, of all keys."""
        return sum(len(getattr(self, key) or ()) for key in KEYS)

    @property
    def nothing(self) -> bool:
        """Whether no task can match it."""
        if any(getattr(self, key) == () for key in KEYS):
            return True
        return self.also is not None and self.also.nothing

    def _lasting(self, task: TaskImage) -> bool:
        """Match what never changes in a task's life."""
        return (
            (self.ids is None or task.id in self.ids)
            and (self.name is None or self.names.matches(task.name))
            and (self.root is None or _root(task) in self.root)
            and (self.parent is None or task.parent_id in self.parent)
            and (self.group is None or task.group_id in self.group)
            and (self.tag is None or not set(self.tag).isdisjoint(task.tags or ()))
        )

    def _passing(
        self, state: str | None, worker: str | None, queue: str | None
    ) -> bool:
        return (
            (self.state is None or state in self.state)
            and (self.worker is None or self.workers.matches(worker))
            and (self.queue is None or self.queues.matches(queue))
        )


KEYS = tuple(key for key in Filter.__struct_fields__ if key != "also")


def parse_filter(given: Mapping[str, object]) -> Filter:
    """Return the filter that `given` (key → text or list of texts) asks for.

    Raises `BadFilter` with a sentence that names the key.
    """
    parsed: dict[str, Any] = {}
    for key, value in given.items():
        if key not in KEYS:
            raise BadFilter(f"unknown key {key[:40]!r}{_meant(key, KEYS)}", key[:40])
        if value is not None:
            parsed[key] = _values(key, value)
    return Filter(**parsed)


def parse_narrowing(given: Mapping[str, object]) -> Filter:
    """Return the filter that a token is narrowed by. Raises `BadFilter`.

    One that matches every task is refused: `{"ids": null}` is what a program writes
    that forgot the ids, and must not open everything.
    """
    found = parse_filter(given)
    if found == Filter():
        raise BadFilter("a filter of a token must have a key with a value")
    return found


def _values(key: str, value: object) -> tuple[str, ...]:
    listed: list[object] = (
        list(value) if isinstance(value, list | tuple) else [value]  # pyright: ignore[reportUnknownArgumentType]
    )
    if not listed:
        raise BadFilter(f"{key} is an empty list and would match nothing", key)
    if len(listed) > MAX_VALUES:
        raise TooManyValues(f"{key} takes at most {MAX_VALUES} values", key)
    values = tuple(dict.fromkeys(_value(key, one) for one in listed))
    if key in GLOBS and sum(map(len, filter(is_glob, values))) > MAX_GLOB_CHARS:
        raise BadFilter(
            f"the values of {key} with wildcards are over {MAX_GLOB_CHARS} characters "
            "together; use fewer or shorter patterns",
            key,
        )
    return values


def _value(key: str, one: object) -> str:
    if not isinstance(one, str) or not one:
        raise BadFilter(f"{key} takes a text or a list of texts, not {one!r:.40}", key)
    if len(one) > MAX_LENGTH:
        raise BadFilter(f"a value of {key} is over {MAX_LENGTH} characters", key)
    if key != "state":
        return one
    state = one.upper()
    if state not in STATES:
        meant = _meant(state, STATES) or f"; states are {', '.join(STATES)}"
        raise BadFilter(f"unknown state {one[:40]!r}{meant}", key)
    return state


def _meant(word: str, words: Iterable[str]) -> str:
    known = list(words)
    close = get_close_matches(word[:40], known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; keys are {', '.join(known)}" if "ids" in known else ""


def _root(task: TaskImage) -> str:
    return task.root_id or task.id
