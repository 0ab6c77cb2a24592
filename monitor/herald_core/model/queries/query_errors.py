"""The mistakes of a query text, each as one sentence with a suggestion. Pure."""

from __future__ import annotations

from difflib import get_close_matches

from herald_core.errors import InvalidQuery
from herald_core.model.queries.query_keys import (
    ALL_KEYS,
    EXAMPLES,
    FILTER_ALIASES,
    RANGE_ALIASES,
    STATE_WORDS,
)
from herald_core.model.queries.query_words import QueryValue, QueryWord
from herald_core.model.tasks.views import STATES


def make_value_error(word: QueryWord, reason: str) -> InvalidQuery:
    """Return the error of a word whose value cannot be meant."""
    return InvalidQuery(
        f"{word.raw[:60]!r} at character {word.position + 1} {reason}",
        word.position,
        make_example(word),
    )


def make_example(word: QueryWord) -> str:
    """Return an example of a word with the key of `word`."""
    key = word.key
    name = FILTER_ALIASES.get(key) or RANGE_ALIASES.get(key) or key.partition(".")[0]
    return EXAMPLES.get(key) or EXAMPLES.get(name) or f"{key}:…"


def make_state_error(value: QueryValue) -> InvalidQuery:
    """Return the error of a value of `state:` that is no state."""
    close = get_close_matches(value.text.lower()[:40], STATE_WORDS, n=1, cutoff=0.6)
    meant = STATE_WORDS[close[0]][0] if close else ""
    hint = f"did you mean {meant}?" if meant else f"states are {', '.join(STATES)}"
    return InvalidQuery(
        f"unknown state {value.text[:40]!r} at character {value.position + 1}; {hint}",
        value.position,
        meant,
    )


def make_key_error(word: QueryWord) -> InvalidQuery:
    """Return the error of a word whose key is unknown."""
    close = get_close_matches(word.key[:40].lower(), ALL_KEYS, n=1, cutoff=0.7)
    quoted = f'"{word.text[:60]}"'
    values = ",".join(one.text for one in word.values)
    mark = "-" if word.is_excluded else ""
    meant = f"{mark}{close[0]}:{values}" if close else quoted
    reason = f"; did you mean {meant[:80]}" if close else ""
    return InvalidQuery(
        f"unknown key {word.key[:40]!r} at character {word.position + 1}{reason}; to "
        f"look for this text write it in quotes: {quoted}",
        word.position,
        meant,
    )
