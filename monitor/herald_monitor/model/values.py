"""Where a value ends in the text of a `repr`, of JSON, of `key=value`.

One pass over the text, without backtracking: nothing in it can make this slow.
A value that is cut reaches to the end of the text.
"""

from __future__ import annotations

import re

# The backslashes are bounded: a run of thousands would be looked at again and again.
_OPENED = re.compile(r"[bBrRuUfF]{0,2}(\\{0,16})(['\"])")
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|apikey|negotiate)\s+(?=[^\s,;&])", re.IGNORECASE
)
_MARKS = re.compile(r"(\\{0,16})(['\"])|[\[\](){}<>]|[\s,;&]|\\{1,16}[nrt]")
_AFTER_CLOSING = frozenset(" \t\r\n,;:)]}>'\"\\")
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def end_of_value(text: str, begin: int) -> int:
    """Return where the value ends that begins at `begin`."""
    opened = _OPENED.match(text, begin)
    if opened:
        return end_of_quoted(text, opened.end(), len(opened[1]), opened[2])
    scheme = _SCHEME.match(text, begin)
    return _end_of_plain(text, scheme.end() if scheme else begin)


def end_of_quoted(text: str, at: int, depth: int, quote: str) -> int:
    """Return where the text in quotes ends that begins at `at`.

    Its quotes stand behind `depth` backslashes: none in a `repr`, one in JSON
    within JSON, three within that. More of them belong to what is quoted (or to
    a backslash at its end: then the mask reaches too far, which is the safe
    side), fewer close the text around it.
    """
    while (at := text.find(quote, at)) >= 0:
        slashes = _slashes(text, at)
        if slashes < depth:
            return at - slashes
        at += 1
        if slashes == depth:
            return at
    return len(text)


def _slashes(text: str, at: int) -> int:
    """Return how many backslashes stand before `at`."""
    begin = at
    while begin and text[begin - 1] == "\\":
        begin -= 1
    return at - begin


def _end_of_plain(text: str, begin: int) -> int:
    """Return where a value ends that does not begin with a quote."""
    within: list[str] = []
    at = begin
    while mark := _MARKS.search(text, at):
        sign = mark[0]
        at = mark.end()
        if mark[2]:
            if within:
                at = end_of_quoted(text, at, len(mark[1]), mark[2])
            elif _ends_here(text, at):
                return mark.start()
        elif sign in _CLOSES:
            if sign != "<" or mark.start() == begin or "<" in within:
                within.append(sign)
        elif within and sign == _CLOSES[within[-1]]:
            within.pop()
            if not within:
                begin = at
        elif not within and sign != ">":
            return mark.start()
    return len(text)


def _ends_here(text: str, at: int) -> bool:
    """Say whether the quote before `at` closes the text that the value lies in."""
    return at == len(text) or text[at] in _AFTER_CLOSING
