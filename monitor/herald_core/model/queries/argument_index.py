"""Declared keys: arguments whose values become tags, so that an index answers. Pure.

`[index]` in herald.toml has globs of task names and paths into their arguments:
`"orders.*" = ["kwargs.order_id", "args.0"]`. Each value becomes the tag `PATH:VALUE`,
such as `kwargs.order_id:12345`: the same text finds it in a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.events.event import Event
from herald_core.model.patterns import compile_glob
from herald_core.model.queries.argument_values import find_argument
from herald_core.model.queries.text_term import TextTerm

MAX_RULES = 200
MAX_PATHS = 8
"""Paths of one name: each value is an entry of the index."""

MAX_INDEXED_CHARS = 128
"""Characters of a tag made of a value; a longer value is found by a scan."""

MAX_CACHED_NAMES = 2_048

PLACES = ("args", "kwargs")


class IndexedPath(NamedTuple):
    """A path into `args` or `kwargs`, and how it is written: `kwargs.order_id`."""

    text: str
    place: str
    steps: tuple[str, ...]


class ArgumentIndex:
    """The declared keys of an installation."""

    def __init__(self, rules: Mapping[str, Sequence[IndexedPath]]) -> None:
        self._rules = {glob: tuple(paths) for glob, paths in rules.items()}
        self._by_name: dict[str | None, tuple[IndexedPath, ...]] = {}

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The declared paths as they are written, by the glob of the names."""
        return {
            glob: tuple(path.text for path in paths)
            for glob, paths in self._rules.items()
        }

    def add_terms(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return `events` with the tags of their arguments in `index_terms`."""
        return [
            event
            if event.name is None or not (paths := self._find_paths(event.name))
            else _with_terms(event, paths)
            for event in events
        ]

    def _find_paths(self, name: str) -> tuple[IndexedPath, ...]:
        known = self._by_name.get(name)
        if known is None:
            if len(self._by_name) >= MAX_CACHED_NAMES:
                self._by_name.clear()
            found = [
                path
                for glob, paths in self._rules.items()
                if compile_glob(glob)(name)
                for path in paths
            ]
            known = self._by_name[name] = tuple(dict.fromkeys(found))[:MAX_PATHS]
        return known


def parse_index(table: object) -> ArgumentIndex | None:
    """Return the index of a table `[index]`; None if it has no entries.

    Raises `InvalidInput`.
    """
    if not isinstance(table, dict):
        raise InvalidInput('[index] must be a table: "orders.*" = ["kwargs.order_id"]')
    rules: dict[str, tuple[IndexedPath, ...]] = {}
    for glob, given in cast("dict[str, object]", table).items():
        paths = cast("list[object]", given if isinstance(given, list) else [given])
        if not 0 < len(paths) <= MAX_PATHS:
            raise InvalidInput(f"[index] {glob!r} takes 1 to {MAX_PATHS} paths")
        rules[glob] = tuple(_parse_path(glob, path) for path in paths)
    if len(rules) > MAX_RULES:
        raise InvalidInput(f"[index] takes at most {MAX_RULES} entries")
    return ArgumentIndex(rules) if rules else None


def make_index_term(path: str, value: str) -> str | None:
    """Return the tag of a value at `path`; None if it is not indexed."""
    term = f"{path}:{value}"
    if value and len(term) <= MAX_INDEXED_CHARS and term.isprintable():
        return term
    return None


def list_query_terms(term: TextTerm) -> tuple[str, ...] | None:
    """Return the tags that the values of `term` can have; None if a scan must tell.

    Tags compare with case: a value is looked for as it is written, in lower and in
    upper case.
    """
    path = ".".join((term.place, *term.path))
    found: list[str] = []
    for text in term.texts:
        for value in dict.fromkeys((text, text.lower(), text.upper())):
            tag = make_index_term(path, value)
            if tag is None or "*" in value or "?" in value:
                return None
            found.append(tag)
    return tuple(found)


def _parse_path(glob: str, given: object) -> IndexedPath:
    if isinstance(given, str):
        place, *steps = given.split(".")
        if place in PLACES and steps and all(steps):
            return IndexedPath(given, place, tuple(steps))
    raise InvalidInput(
        f"[index] {glob!r}: {given!r:.60} is no path; write kwargs.KEY, kwargs.KEY.KEY "
        "or args.0"
    )


def _with_terms(event: Event, paths: Sequence[IndexedPath]) -> Event:
    terms = _find_terms(event.args, event.kwargs, tuple(paths))
    if not terms:
        return event
    return msgspec.structs.replace(event, index_terms=terms)


@lru_cache(maxsize=1024)
def _find_terms(
    args: str | None, kwargs: str | None, paths: tuple[IndexedPath, ...]
) -> tuple[str, ...]:
    """Return the tags of arguments. Each call is reported twice: sent and received."""
    found: list[str] = []
    for path in paths:
        value = find_argument(args if path.place == "args" else kwargs, path.steps)
        term = None if value is None else make_index_term(path.text, value)
        if term is not None:
            found.append(term)
    return tuple(found)
