"""The one filter of all interfaces: WebSocket, SSE, HTTP, MCP, webhooks, command line.

Lists are OR, keys are AND; `*` and `?` are wildcards in name, worker and queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import msgspec

from herald_core.errors import InvalidFilter, TooManyValues
from herald_core.model.patterns import PatternSet, is_glob
from herald_core.model.tasks.views import (
    FAILURE,
    PENDING,
    RETRY,
    REVOKED,
    STARTED,
    STATES,
    SUCCESS,
    TaskView,
)

MAX_VALUES = 1_000
MAX_LENGTH = 512
MAX_GLOB_CHARS = 1_024
"""Characters of all values of one key that hold a wildcard: each takes time to
compile, and to try on a name that is new."""

GLOBS = frozenset(["name", "worker", "queue"])

HIDEABLE_FIELDS = ("args", "kwargs", "result", "exception", "traceback")
"""Fields of a task that a token may be kept from seeing."""


class PreviousValues(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The values that a change replaced: enough to find the filters that the task
    leaves.

    `attempt` is only set if it changed: the same state then belongs to another
    delivery.
    """

    state: str | None = None
    worker: str | None = None
    queue: str | None = None
    attempt: int | None = None
    failure: str | None = None


class Filter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, dict=True):
    """A selection of tasks. An empty filter matches every task."""

    ids: tuple[str, ...] | None = None
    name: tuple[str, ...] | None = None
    state: tuple[str, ...] | None = None
    worker: tuple[str, ...] | None = None
    queue: tuple[str, ...] | None = None
    root: tuple[str, ...] | None = None
    parent: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    tag: tuple[str, ...] | None = None
    failure: tuple[str, ...] | None = None
    also: Filter | None = None
    """A filter that must match too; it narrows a client's filter to its token."""
    hide: tuple[str, ...] | None = None
    """Of a token: fields that it does not show, of `HIDEABLE_FIELDS`."""

    @cached_property
    def hidden_fields(self) -> frozenset[str]:
        """The fields that this filter, or one that must match too, hides."""
        more = self.also.hidden_fields if self.also is not None else frozenset[str]()
        return more.union(self.hide or ())

    @cached_property
    def own_tags(self) -> frozenset[str]:
        """The tags that this filter, or one that must match too, names."""
        more = self.also.own_tags if self.also is not None else frozenset[str]()
        return more.union(self.tag or ())

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

    def matches(self, task: TaskView, before: PreviousValues | None = None) -> bool:
        """Return True if `task` matches, or matched `before` a change."""
        at = task if before is None else before
        return (
            (self.state is None or at.state in self.state)
            and (self.ids is None or task.id in self.ids)
            and (self.name is None or self.names.matches(task.name))
            and (self.worker is None or self.workers.matches(at.worker))
            and (self.queue is None or self.queues.matches(at.queue))
            and (self.root is None or (task.root_id or task.id) in self.root)
            and (self.parent is None or task.parent_id in self.parent)
            and (self.group is None or task.group_id in self.group)
            and (self.failure is None or at.failure in self.failure)
            and (self.tag is None or not set(self.tag).isdisjoint(task.tags or ()))
            and (self.also is None or self.also.matches(task, before))
        )

    def intersect(self, only: Filter | None) -> Filter:
        """Return the intersection: it never matches more than `only` does.

        It has the keys of both, so that a store can use their indexes. If both have a
        key, `also` holds the rest: wildcards and tags do not intersect.
        """
        if only is None:
            return self
        mine: dict[str, Any] = {key: getattr(self, key) for key in KEYS}
        mine["tag"] = _select_tags(self.tag, only)
        merged = {k: getattr(only, k) if v is None else v for k, v in mine.items()}
        return Filter(**merged, also=only, hide=self.hide)

    def permits_name(self, name: str) -> bool:
        """Return True if a task of that name can match."""
        return (self.name is None or self.names.matches(name)) and (
            self.also is None or self.also.permits_name(name)
        )

    @property
    def size(self) -> int:
        """The number of values of all keys."""
        return sum(len(getattr(self, key) or ()) for key in KEYS)

    @property
    def is_empty(self) -> bool:
        """True if no task can match the filter."""
        if any(getattr(self, key) == () for key in KEYS):
            return True
        return self.also is not None and self.also.is_empty


KEYS = tuple(key for key in Filter.__struct_fields__ if key not in ("also", "hide"))


def is_hidden_tag(tag: str, hidden: frozenset[str]) -> bool:
    """Return True if a tag is made of a value of an argument that is hidden."""
    return tag.partition(".")[0] in hidden & {"args", "kwargs"} and ":" in tag


def _select_tags(tags: tuple[str, ...] | None, only: Filter) -> tuple[str, ...] | None:
    """Return the tags that a token of the filter `only` may ask for."""
    if tags is None or not only.hidden_fields:
        return tags
    return tuple(
        tag
        for tag in tags
        if tag in only.own_tags or not is_hidden_tag(tag, only.hidden_fields)
    )


def parse_hidden_fields(given: object) -> tuple[str, ...]:
    """Return fields to hide, in their order. Raises `InvalidFilter`."""
    listed: list[object] = (
        [given]
        if isinstance(given, str)
        else (
            list(given) if isinstance(given, list | tuple) else []  # pyright: ignore[reportUnknownArgumentType]
        )
    )
    if not listed or any(one not in HIDEABLE_FIELDS for one in listed):
        raise InvalidFilter(
            f"hide must be a list of {', '.join(HIDEABLE_FIELDS)}", "hide"
        )
    # One without the other would look like a call that has only these.
    both = ("args", "kwargs") if {"args", "kwargs"} & set(listed) else ()
    return tuple(field for field in HIDEABLE_FIELDS if field in (*listed, *both))


def parse_filter(given: Mapping[str, object]) -> Filter:
    """Return the filter of `given` (key → text or list of texts).

    Raises `InvalidFilter` with a sentence that names the key.
    """
    parsed: dict[str, Any] = {}
    for key, value in given.items():
        if key not in KEYS:
            raise InvalidFilter(
                f"unknown key {key[:40]!r}{_suggest(key, KEYS)}", key[:40]
            )
        if value is not None:
            parsed[key] = _parse_values(key, value)
    return Filter(**parsed)


def parse_token_filter(given: Mapping[str, object]) -> Filter:
    """Return the filter that narrows a token. Raises `InvalidFilter`.

    A filter that matches every task is refused. A program that forgot the ids writes
    `{"ids": null}`, and must not get access to all tasks.
    """
    found = parse_filter(given)
    if found == Filter():
        raise InvalidFilter("a filter of a token must have a key with a value")
    return found


def _parse_values(key: str, value: object) -> tuple[str, ...]:
    listed: list[object] = (
        list(value) if isinstance(value, list | tuple) else [value]  # pyright: ignore[reportUnknownArgumentType]
    )
    if not listed:
        raise InvalidFilter(f"{key} is an empty list and would match nothing", key)
    if len(listed) > MAX_VALUES:
        raise TooManyValues(f"{key} takes at most {MAX_VALUES} values", key)
    values = tuple(dict.fromkeys(_parse_value(key, one) for one in listed))
    if key in GLOBS and sum(map(len, filter(is_glob, values))) > MAX_GLOB_CHARS:
        raise InvalidFilter(
            f"the values of {key} with wildcards are over {MAX_GLOB_CHARS} characters "
            "together; use fewer or shorter patterns",
            key,
        )
    return values


OTHER_STATE_WORDS = {
    **dict.fromkeys(("RUNNING", "ACTIVE", "IN_PROGRESS", "PROGRESS"), STARTED),
    **dict.fromkeys(("COMPLETED", "DONE", "FINISHED", "SUCCEEDED"), SUCCESS),
    **dict.fromkeys(("FAILED", "ERROR", "ERRORED"), FAILURE),
    **dict.fromkeys(("QUEUED", "WAITING", "SCHEDULED"), PENDING),
    **dict.fromkeys(("CANCELLED", "CANCELED", "ABORTED"), REVOKED),
    **dict.fromkeys(("RETRYING", "RETRIED"), RETRY),
}
"""States by the words that other systems have for them."""


def _parse_value(key: str, one: object) -> str:
    if not isinstance(one, str) or not one:
        raise InvalidFilter(
            f"{key} takes a text or a list of texts, not {one!r:.40}", key
        )
    if len(one) > MAX_LENGTH:
        raise InvalidFilter(f"a value of {key} is over {MAX_LENGTH} characters", key)
    if key != "state":
        return one
    state = one.upper()
    if state not in STATES:
        known = OTHER_STATE_WORDS.get(state)
        meant = f"; did you mean {known!r}?" if known else _suggest(state, STATES)
        meant = meant or f"; states are {', '.join(STATES)}"
        raise InvalidFilter(f"unknown state {one[:40]!r}{meant}", key)
    return state


def _suggest(word: str, words: Iterable[str]) -> str:
    known = list(words)
    close = get_close_matches(word[:40], known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; keys are {', '.join(known)}" if "ids" in known else ""
