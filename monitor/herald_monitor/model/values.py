"""Where a value ends in the text of a `repr`, of JSON, of `key=value`.

One pass over the text, without backtracking: nothing in it can make this slow.
A value that is cut reaches to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# The backslashes are bounded: a run of thousands would be looked at again and again.
_OPENED = re.compile(r"[bBrRuUfF]{0,2}(\\{0,16})(['\"])")
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|apikey|negotiate)\s+(?=[^\s,;&])", re.IGNORECASE
)
_MARKS = re.compile(r"(\\{0,16})(['\"])|[\[\](){}<>]|[\s,;&]|\\{1,16}[nrt]")
_AMBIGUOUS = re.compile(r"\\\\['\"]")
_AFTER_CLOSING = frozenset(" \t\r\n,;:)]}>'\"\\")
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def end_of_value(text: str, begin: int, doublings: Sequence[int] = (1,)) -> int:
    """Return where the value ends that begins at `begin`, at most."""
    return max(_end(text, begin, doubled) for doubled in doublings)


def doublings(text: str) -> Sequence[int]:
    """Return how many times over backslashes may stand in `text`.

    JSON within a `repr` has each of them twice, but its quotes bare: then a quote
    behind two backslashes is an escaped one, elsewhere it ends what was quoted.
    """
    return (1, 2, 4) if _AMBIGUOUS.search(text) else (1,)


def _end(text: str, begin: int, doubled: int) -> int:
    opened = _OPENED.match(text, begin)
    if opened:
        depth = len(opened[1])
        return _end_of_quoted(text, opened.end(), depth, opened[2], doubled)
    scheme = _SCHEME.match(text, begin)
    return _end_of_plain(text, scheme.end() if scheme else begin, doubled)


def _end_of_quoted(text: str, at: int, depth: int, quote: str, doubled: int) -> int:
    """Return where the text in quotes ends that begins at `at`.

    Its quotes stand behind `depth` backslashes: none in a `repr`, one in JSON
    within JSON, three within that, two in a `repr` of JSON within JSON. More of
    them belong to what is quoted, fewer close the text around it.
    """
    doubled = depth & -depth or doubled
    while (at := text.find(quote, at)) >= 0:
        slashes = _slashes(text, at)
        if slashes < depth:
            return at - slashes
        at += 1
        if slashes % (2 * (depth + doubled)) == depth:
            return at
    return len(text)


def _slashes(text: str, at: int) -> int:
    """Return how many backslashes stand before `at`."""
    begin = at
    while begin and text[begin - 1] == "\\":
        begin -= 1
    return at - begin


def _end_of_plain(text: str, begin: int, doubled: int) -> int:
    """Return where a value ends that does not begin with a quote."""
    within: list[str] = []
    at = begin
    while mark := _MARKS.search(text, at):
        sign = mark[0]
        at = mark.end()
        if mark[2]:
            if within:
                at = _end_of_quoted(text, at, len(mark[1]), mark[2], doubled)
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
