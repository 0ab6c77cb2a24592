"""The query text of every interface: `failed kwargs.order_id:12345 last:10m`. Pure.

`server/docs/reference/query-language.md` documents the grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any

from herald_core.errors import InvalidInput, InvalidQuery
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.patterns import is_glob
from herald_core.model.queries.query_bounds import Clock, find_states
from herald_core.model.queries.query_errors import (
    make_example,
    make_key_error,
    make_value_error,
)
from herald_core.model.queries.query_keys import (
    AFTER_KEYS,
    BEFORE_KEYS,
    EXAMPLES,
    FILTER_ALIASES,
    RANGE_ALIASES,
    STATE_WORDS,
    TEXT_PLACES,
)
from herald_core.model.queries.query_words import QueryValue, QueryWord, split_words
from herald_core.model.queries.task_query import TaskQuery, parse_sort
from herald_core.model.queries.text_term import ID_PREFIX, TextTerm

MAX_QUERY_CHARS = 2_000
MAX_QUERY_WORDS = 40
FULL_ID_CHARS = 36
"""Characters of a UUID: what is shorter is the beginning of an id."""


def parse_query_text(text: str, now: float, zone: tzinfo = UTC) -> TaskQuery:
    """Return the query that `text` means at `now` (unix seconds).

    Times without an offset are in `zone`. Raises `InvalidQuery` with a sentence, the
    position of the mistake, and a suggestion.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidQuery(f"a query has at most {MAX_QUERY_CHARS} characters")
    words = split_words(text)
    if len(words) > MAX_QUERY_WORDS:
        raise InvalidQuery(
            f"a query has at most {MAX_QUERY_WORDS} words",
            words[MAX_QUERY_WORDS].position,
        )
    builder = _QueryBuilder(now, zone)
    for word in words:
        builder.add(word)
    return builder.build()


class _QueryBuilder:
    """Collects the parts of a query, word by word."""

    def __init__(self, now: float, zone: tzinfo) -> None:
        self._clock = Clock(now, zone)
        self._filter: dict[str, list[str]] = {}
        self._parts: dict[str, list[Any]] = {}
        self._given: dict[str, Any] = {}

    def build(self) -> TaskQuery:
        parts: dict[str, Any] = {key: tuple(some) for key, some in self._parts.items()}
        return TaskQuery(filter=_make_filter(self._filter), **parts, **self._given)

    def add(self, word: QueryWord) -> None:
        if not word.key:
            self._add_bare(word)
        elif (add := self._find_reader(word)) is not None:
            _require_values(word)
            add(word)
        elif word.sign != ":" or _is_text(word):
            self._add_term(word, TextTerm((word.text,)))
        else:
            raise make_key_error(word)

    def _find_reader(self, word: QueryWord) -> Callable[[QueryWord], None] | None:
        key = word.key
        if key.partition(".")[0] in ("args", "kwargs") and "." in key:
            return self._add_path
        if key in FILTER_ALIASES:
            return self._add_filter
        if key in TEXT_PLACES:
            return self._add_text
        if key in RANGE_ALIASES:
            return self._add_range
        if key in AFTER_KEYS or key in BEFORE_KEYS:
            return self._add_moment
        return self._add_sort if key == "sort" else None

    # -- words ---------------------------------------------------------------------

    def _add_bare(self, word: QueryWord) -> None:
        text = word.text
        if word.raw == "OR":
            raise InvalidQuery(
                f"OR at character {word.position + 1} is not part of the grammar: "
                "words are AND; values of one key are OR: state:FAILURE,LOST",
                word.position,
            )
        if not text:
            return
        states = None if word.is_quoted else STATE_WORDS.get(text.lower())
        if states:
            self._add_states(word, states)
        elif is_glob(text) and not word.is_quoted:
            self._add_name_pattern(word, text)
        else:
            self._add_term(word, TextTerm((text,)))

    def _add_states(self, word: QueryWord, states: tuple[str, ...]) -> None:
        if word.is_excluded:
            self._add_part("excluded", Filter(state=states))
        else:
            self._filter.setdefault("state", []).extend(states)

    def _add_name_pattern(self, word: QueryWord, text: str) -> None:
        found = _make_filter({"name": [text]}, word)
        if word.is_excluded:
            self._add_part("excluded", found)
        elif "name" in self._filter:
            raise InvalidQuery(
                f"{text[:40]!r} at character {word.position + 1} is a second pattern "
                "of names; write both with a comma: name:a.*,b.*",
                word.position,
            )
        else:
            self._filter["name"] = [text]

    def _add_filter(self, word: QueryWord) -> None:
        key = FILTER_ALIASES[word.key]
        if key == "ids" and not all(map(_is_full_id, word.values)):
            texts = tuple(one.text for one in word.values)
            self._add_term(word, TextTerm(texts, ID_PREFIX))
            return
        values = [text for one in word.values for text in _expand_value(key, one)]
        found = _make_filter({key: values}, word)
        if word.is_excluded:
            self._add_part("excluded", found)
        else:
            self._filter.setdefault(key, []).extend(getattr(found, key) or ())

    def _add_text(self, word: QueryWord) -> None:
        texts = tuple(one.text for one in word.values)
        self._add_term(word, TextTerm(texts, TEXT_PLACES[word.key]))

    def _add_path(self, word: QueryWord) -> None:
        place, *path = word.key.split(".")
        if not all(path):
            raise InvalidQuery(
                f"{word.key[:60]!r} at character {word.position + 1} has an empty key; "
                f"write {EXAMPLES[place]}",
                word.position,
                EXAMPLES[place],
            )
        texts = tuple(one.text for one in word.values)
        self._add_term(word, TextTerm(texts, place, tuple(path)))

    def _add_range(self, word: QueryWord) -> None:
        name = "excluded_ranges" if word.is_excluded else "ranges"
        self._add_part(name, self._clock.read_range(word))

    def _add_moment(self, word: QueryWord) -> None:
        if word.is_excluded or len(word.values) != 1:
            example = make_example(word)
            raise make_value_error(word, f"takes one time and no -; write {example}")
        at = self._clock.read_number(word, "arrival", word.values[0].text)
        key = "before" if word.key in BEFORE_KEYS else "after"
        known = self._given.get(key)
        narrower = max if key == "after" else min
        self._given[key] = at if known is None else narrower(known, at)

    def _add_sort(self, word: QueryWord) -> None:
        try:
            self._given["sort"] = parse_sort(word.values[0].text)
        except InvalidInput as error:
            raise InvalidQuery(str(error), word.position, EXAMPLES["sort"]) from None

    def _add_part(self, name: str, part: object) -> None:
        self._parts.setdefault(name, []).append(part)

    def _add_term(self, word: QueryWord, term: TextTerm) -> None:
        self._add_part("excluded_terms" if word.is_excluded else "terms", term)


def _require_values(word: QueryWord) -> None:
    if not word.values:
        raise make_value_error(word, f"has no value; write {make_example(word)}")


def _make_filter(given: dict[str, list[str]], word: QueryWord | None = None) -> Filter:
    try:
        return parse_filter(given)
    except InvalidInput as error:
        raise InvalidQuery(str(error), word.position if word else 0) from None


def _is_text(word: QueryWord) -> bool:
    """Return True if what looks like a key is part of a text: a URL, `ValueError:`."""
    return not word.values or word.values[0].text.startswith(("//", ":"))


def _is_full_id(value: QueryValue) -> bool:
    return value.is_quoted or len(value.text) >= FULL_ID_CHARS


def _expand_value(key: str, value: QueryValue) -> tuple[str, ...]:
    """Return the values of the filter that a value of the text stands for.

    A quoted value, and one with a wildcard, is taken as it is. A part of a dotted name
    and the beginning of a worker's name suffice otherwise.
    """
    if key == "state":
        return find_states(value)
    text = value.text
    if value.is_quoted or is_glob(text):
        return (text,)
    if key == "name" and "." not in text:
        return text, f"{text}.*", f"*.{text}", f"*.{text}.*"
    if key == "worker" and "@" not in text:
        return f"{text}*", f"*@{text}*"
    return (text,)
