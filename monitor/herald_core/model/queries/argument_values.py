"""Values of arguments out of the text of a `repr`, as Celery reports them. Pure.

The text may be truncated or hold the `repr` of any object. What is not certain is not
returned: an incomplete value, and everything after brackets that do not match.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from herald_core.model.events.redaction import MASK

MAX_PARTS = 2_000
"""Strings, brackets and commas that are looked at in one text: about 1 ms."""

TRUNCATED = ("...", "…")
"""The ends of a value that Celery or Herald has truncated."""

_STRING = (
    r"[bBrRuU]{0,2}'[^'\\]*(?:\\.[^'\\]*)*'|[bBrRuU]{0,2}\"[^\"\\]*(?:\\.[^\"\\]*)*\""
)
_PART = re.compile(rf"(?P<string>{_STRING})|[\[\](){{}}<>,'\"]", re.DOTALL)
_WHOLE_STRING = re.compile(_STRING, re.DOTALL)
_WRAPPED = re.compile(rf"[A-Za-z_][\w.]*\(({_STRING})\)", re.DOTALL)
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def find_argument(text: str | None, path: Sequence[str]) -> str | None:
    """Return the value at `path` in the `repr` of arguments, without quotes.

    `path` has keys of dicts and places in lists (`("order", "id")`, `("0",)`). None if
    there is no such value, or if it is truncated or redacted.
    """
    found = text.strip() if text else None
    for step in path:
        if found is None:
            return None
        found = _find_item(found, step)
    return None if found is None else read_value(found)


def read_value(text: str) -> str | None:
    """Return the `repr` of one value as a person would write it.

    The content of a text, also of one in a call (`UUID('…')`), else `text` itself. None
    if it is truncated, redacted, or not one value.
    """
    wrapped = _WRAPPED.fullmatch(text)
    literal = wrapped[1] if wrapped else text
    is_string = _WHOLE_STRING.fullmatch(literal) is not None
    value = _unquote(literal) if is_string else literal
    if value is None or MASK in value or value.endswith(TRUNCATED):
        return None
    return value


def _unquote(literal: str) -> str | None:
    if literal[0] in "'\"" and "\\" not in literal:
        return literal[1:-1]
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _find_item(text: str, step: str) -> str | None:
    """Return the item `step` of the container `text`, as it is written there."""
    if text[:1] == "{":
        if step.isidentifier() and step not in text:
            return None
        for item in _split_items(text):
            key = _WHOLE_STRING.match(item)
            if key is None:
                continue
            rest = item[key.end() :].lstrip()
            if rest[:1] == ":" and _unquote(key[0]) == step:
                return rest[1:].strip()
        return None
    if text[:1] in ("(", "[") and step.isascii() and step.isdigit():
        items = _split_items(text)
        place = int(step[:6])
        return items[place] if place < len(items) else None
    return None


def _split_items(text: str) -> list[str]:
    """Return the complete items of the container that `text` begins with."""
    items: list[str] = []
    within: list[str] = []
    begin = 1
    for number, part in enumerate(_PART.finditer(text)):
        sign = part[0]
        if number >= MAX_PARTS or sign in ("'", '"'):
            return items  # a text without an end
        if part["string"] is not None:
            continue
        if sign in _CLOSES:
            within.append(_CLOSES[sign])
        elif sign == "," and len(within) == 1:
            items.append(text[begin : part.start()].strip())
            begin = part.end()
        elif sign != ",":
            if not within or within.pop() != sign:
                return items
            if not within:
                last = text[begin : part.start()].strip()
                return [*items, last] if last else items
    return items
