"""What may be written next in a query text: keys, states, names, values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from herald_core.model.queries.query_keys import FILTER_ALIASES, STATE_WORDS
from herald_core.model.queries.task_query import SORT_FIELDS
from herald_core.model.tasks.views import STATES

MAX_STATE_WORDS = 3
MAX_NAMES = 5
"""State words and names that a bare word suggests, so that keys have room too."""

KEY_HINTS = {
    "state:": "one of the states, such as state:failed,lost",
    "name:": "a task name; part of it suffices",
    "error:": "text in the exception or traceback",
    "kwargs.": "one argument, such as kwargs.order_id:12345",
    "args:": "text in the arguments",
    "last:": "received in the last …, such as last:10m",
    "since:": "received since, such as since:02:00",
    "until:": "received until, such as until:03:00",
    "took:": "runtime, such as took:>10s",
    "wait:": "time in the queue, such as wait:>1m",
    "worker:": "a worker; the beginning suffices",
    "queue:": "a queue",
    "tag:": "a tag",
    "id:": "an id, or how it begins",
    "result:": "text in the result",
    "text:": "text anywhere, result and traceback too",
    "started:": "the time of the start, such as started:>02:00",
    "finished:": "the time of the end, such as finished:02:00..02:30",
    "sort:": "an order, such as sort:-runtime",
}
"""Keys that are suggested, as they are written, and what their values are."""

EXAMPLE_VALUES = {
    "last": ("10m", "1h", "24h"),
    "since": ("today", "yesterday", "02:00"),
    "until": ("today", "yesterday", "03:00"),
    "took": (">1s", ">10s", ">1m"),
    "runtime": (">1s", ">10s", ">1m"),
    "wait": (">10s", ">1m", ">10m"),
    "started": (">10m", ">02:00"),
    "finished": (">10m", ">02:00"),
    "sort": tuple(f"{sign}{field}" for field in SORT_FIELDS for sign in ("-", "")),
}
"""Values of keys that take a time, a duration or an order."""

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_KEY = re.compile(r"([A-Za-z_][\w.-]*)[:=]")
_VALUE = re.compile(r'(?:[^,"]|"[^"]*"?)+')
_NEEDS_QUOTES = re.compile(r"[\s,:*?]")


class Suggestion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text for the place `replaces` of the query: from, and up to before (characters
    from 0).

    `kind` is `key`, `state`, `name`, `worker`, `queue`, `tag`, `argument` (a key that
    names an argument), `value` (of an argument), or `example` (a time, a duration or an
    order).
    """

    text: str
    kind: str
    replaces: tuple[int, int]
    hint: str = ""


class KnownValues(msgspec.Struct, frozen=True):
    """Values that the caller may see, those to suggest first first.

    `paths` are arguments as they are written in a query: `kwargs.order_id`.
    """

    names: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class LastWord(NamedTuple):
    """The word that is being written, at the end of a query text.

    `written` is the part of it that a suggestion replaces, without quotes: the value
    after the last comma of a word with a `key`, else the word without `-`.
    """

    key: str
    written: str
    replaces: tuple[int, int]
    before: str
    """The query text before the word."""

    @property
    def path(self) -> tuple[str, ...]:
        """The steps of the argument that `key` names; empty of another key."""
        place, *steps = self.key.split(".")
        return (place, *steps) if place in ("args", "kwargs") and all(steps) else ()


def parse_last_word(text: str) -> LastWord:
    """Return the last word of `text`; an empty one if it ends with a space."""
    words = list(_WORD.finditer(text))
    if not words or words[-1].end() != len(text):
        return LastWord("", "", (len(text), len(text)), text)
    last = words[-1]
    begin = last.start() + (last[0].startswith("-"))
    key = _KEY.match(text, begin)
    if key is not None:
        values = list(_VALUE.finditer(text, key.end()))
        begin = key.end()
        if values:
            begin = values[-1].start() if values[-1].end() == len(text) else len(text)
    written = text[begin:].replace('"', "")
    name = "" if key is None else key[1] if "." in key[1] else key[1].lower()
    return LastWord(name, written, (begin, len(text)), text[: last.start()])


def list_suggestions(
    word: LastWord, known: KnownValues, limit: int, values: Sequence[str] = ()
) -> list[Suggestion]:
    """Return up to `limit` suggestions for `word`.

    `values` are those of the argument that its key names.
    """
    found = _iter_values(word, known, values) if word.key else _iter_words(word, known)
    unique = dict.fromkeys(found)
    return [Suggestion(text, kind, word.replaces, hint) for text, kind, hint in unique][
        :limit
    ]


def quote_value(value: str) -> str:
    """Return `value` as it is written in a query: quoted where it must be."""
    return f'"{value}"' if _NEEDS_QUOTES.search(value) else value


_Found = tuple[str, str, str]
"""Text, kind and hint of a suggestion."""


def _iter_words(word: LastWord, known: KnownValues) -> Iterator[_Found]:
    written = word.written.lower()
    if written:
        states = [state for state in STATE_WORDS if state.startswith(written)]
        for state in states[:MAX_STATE_WORDS]:
            yield state, "state", ", ".join(STATE_WORDS[state])
        for name in _select(known.names, written)[:MAX_NAMES]:
            yield f"name:{quote_value(name)}", "name", ""
    for path in known.paths:
        if written and path.lower().startswith(written):
            yield f"{path}:", "argument", "one value of this argument"
    for key, hint in KEY_HINTS.items():
        if key.startswith(written):
            yield key, "key", hint


def _iter_values(
    word: LastWord, known: KnownValues, values: Sequence[str]
) -> Iterator[_Found]:
    if word.path:
        yield from (
            (quote_value(value), "value", "") for value in _select_writable(values)
        )
        return
    key = FILTER_ALIASES.get(word.key, word.key)
    if key == "state":
        other_words = [text for text in STATE_WORDS if text.upper() not in STATES]
        for state in _select((*STATES, *other_words), word.written):
            yield state, "state", ", ".join(STATE_WORDS.get(state, ()))
        return
    of_key = {
        "name": known.names,
        "worker": known.workers,
        "queue": known.queues,
        "tag": known.tags,
    }
    kind = key if key in of_key else "example"
    for value in _select(of_key.get(key, EXAMPLE_VALUES.get(key, ())), word.written):
        yield (value if kind == "example" else quote_value(value)), kind, ""


def _select(values: Iterable[str], written: str) -> list[str]:
    """Return the values that hold `written`, those that begin with it first."""
    text = written.lower()
    fitting = [value for value in _select_writable(values) if text in value.lower()]
    return sorted(fitting, key=lambda value: not value.lower().startswith(text))


def _select_writable(values: Iterable[str]) -> Iterator[str]:
    """Yield the values that can be written: a quote within one cannot."""
    return (value for value in values if value and '"' not in value)
