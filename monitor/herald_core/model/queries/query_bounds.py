"""Times, durations and states in the words of a query. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import tzinfo

from herald_core.model.queries.moments import parse_duration_s, parse_time
from herald_core.model.queries.query_errors import (
    make_example,
    make_state_error,
    make_value_error,
)
from herald_core.model.queries.query_keys import RANGE_ALIASES, STATE_WORDS
from herald_core.model.queries.query_words import QueryValue, QueryWord
from herald_core.model.queries.value_range import DURATION_FIELDS, ValueRange

DURATION_HINT = "takes a duration such as 250ms, 10s, 1m or 1h30m"
TIME_HINT = "takes a time such as 10m (ago), 02:13, yesterday or 2026-01-31T12:00Z"
SIGNS = (">=", "<=", ">", "<")


@dataclass(frozen=True)
class Clock:
    """What `now` is (unix seconds), and the zone of times without an offset."""

    now: float
    zone: tzinfo

    def read_range(self, word: QueryWord) -> ValueRange:
        """Return the range of a word: `took:>10s`, `started:02:00..03:00`."""
        field = RANGE_ALIASES[word.key]
        sign, text = _split_sign(word)
        if ".." in text:
            low, high = (
                self.read_number(word, field, part) if part else None
                for part in text.split("..", 1)
            )
            return ValueRange(field, low, high)
        value = self.read_number(word, field, text)
        if sign == ">":
            return ValueRange(field, math.nextafter(value, math.inf))
        if sign == "<":
            return ValueRange(field, None, math.nextafter(value, -math.inf))
        return (
            ValueRange(field, None, value) if sign == "<=" else ValueRange(field, value)
        )

    def read_number(self, word: QueryWord, field: str, text: str) -> float:
        """Return a duration in seconds or a time in unix seconds.

        Raises `InvalidQuery`.
        """
        is_duration = field in DURATION_FIELDS
        value = (
            parse_duration_s(text)
            if is_duration
            else parse_time(text, self.now, self.zone)
        )
        if value is None:
            hint = DURATION_HINT if is_duration else TIME_HINT
            raise make_value_error(word, f"{hint}, as in {make_example(word)}")
        return value


def find_states(value: QueryValue) -> tuple[str, ...]:
    """Return the states that a value of `state:` means. Raises `InvalidQuery`."""
    word = value.text.lower()
    if word in STATE_WORDS:
        return STATE_WORDS[word]
    begun = {STATE_WORDS[known] for known in STATE_WORDS if known.startswith(word)}
    if len(word) >= 3 and len(begun) == 1:
        return begun.pop()
    raise make_state_error(value)


def _split_sign(word: QueryWord) -> tuple[str, str]:
    """Return the comparison of a word, and the text behind it."""
    text = word.values[0].text
    if word.sign in SIGNS:
        return word.sign, text
    for sign in SIGNS:
        if text.startswith(sign):
            return sign, text.removeprefix(sign)
    return word.sign, text
