"""The words of a query text: `-key:value,"other value"` and bare texts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from herald_core.errors import InvalidQuery

_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_KEY = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)(?P<sign>>=|<=|:|=|>|<)")
_VALUE = re.compile(r'(?:[^,"]|"[^"]*")+')


@dataclass(frozen=True)
class QueryValue:
    """One value of a word; a quoted one means exactly this text."""

    text: str
    is_quoted: bool
    position: int


@dataclass(frozen=True)
class QueryWord:
    """One word. `key` is empty of a bare text; `sign` is what followed the key.

    `position` is its place in the query (characters from 0), `raw` as it was written.
    """

    raw: str
    position: int
    key: str
    sign: str
    values: tuple[QueryValue, ...]
    is_excluded: bool

    @property
    def text(self) -> str:
        """The whole word without `-` and quotes."""
        return self.raw.removeprefix("-").replace('"', "")

    @property
    def is_quoted(self) -> bool:
        """True if the whole word is in quotes."""
        return self.raw.removeprefix("-").startswith('"')


def split_words(text: str) -> list[QueryWord]:
    """Return the words of `text`. Raises `InvalidQuery` for a quote without an end."""
    if text.count('"') % 2:
        raise InvalidQuery(
            "a quote is not closed: write a second quote after the text",
            text.rindex('"'),
            '"',
        )
    words: list[QueryWord] = []
    negated = False
    for found in _WORD.finditer(text):
        if found[0] == "NOT":
            negated = True
        elif found[0] != "AND":
            words.append(_parse_word(found[0], found.start(), negated))
            negated = False
    return words


def _parse_word(raw: str, position: int, negated: bool) -> QueryWord:
    is_excluded = negated or (raw.startswith("-") and len(raw) > 1)
    body = raw.removeprefix("-") if is_excluded else raw
    start = position + len(raw) - len(body)
    found = _KEY.match(body)
    if found is None:
        value = QueryValue(body.replace('"', ""), body.startswith('"'), start)
        return QueryWord(raw, position, "", "", (value,), is_excluded)
    sign = found["sign"]
    values = _split_values(body, found.end(), start)
    key = found["key"].lower() if "." not in found["key"] else found["key"]
    return QueryWord(raw, position, key, sign, values, is_excluded)


def _split_values(body: str, begin: int, start: int) -> tuple[QueryValue, ...]:
    return tuple(
        QueryValue(one[0].replace('"', ""), one[0].startswith('"'), start + one.start())
        for one in _VALUE.finditer(body, begin)
        if one[0].replace('"', "")
    )
