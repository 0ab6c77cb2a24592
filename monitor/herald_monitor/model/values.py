"""Where a value ends in the text of a `repr`, of JSON, of `key=value`.

One pass over the text, without backtracking, and a bounded number of steps: nothing
in it can make this slow. A value that is cut reaches to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from herald_monitor.model.searching import search

MAX_MARKS = 500
"""Quotes, brackets and separators that are looked at in one text: 0.5 ms."""

# The backslashes are bounded: a run of thousands would be looked at again and again.
_OPENED = re.compile(r"[bBrRuUfF]{0,2}(\\{0,16})(['\"])")
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|apikey|negotiate)\s+(?=[^\s,;&])", re.IGNORECASE
)
_MARKS = re.compile(r"(\\{0,16}+)(['\"])|[\[\](){}<>]|[\s,;&]|\\{1,16}+[nrt]")
_AMBIGUOUS = re.compile(r"\\\\['\"]")
_AFTER_CLOSING = frozenset(" \t\r\n,;:)]}>'\"\\")
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def doublings(text: str) -> Sequence[int]:
    """Return how many times over backslashes may stand in `text`.

    JSON within a `repr` has each of them twice, but its quotes bare: then a quote
    behind two backslashes is an escaped one, elsewhere it ends what was quoted.
    """
    return (1, 2, 4) if search(_AMBIGUOUS, text) else (1,)


class ValueScanner:
    """Finds where values end in `text`.

    It looks at `max_marks` quotes, brackets and separators at most. Beyond them a
    value reaches to the end of the text.
    """

    def __init__(self, text: str, max_marks: int = MAX_MARKS) -> None:
        self._text = text
        self._doublings = doublings(text)
        self._marks_left = max_marks

    def find_end(self, begin: int) -> int:
        """Return where the value ends that begins at `begin`, at most."""
        return max(self._end(begin, doubled) for doubled in self._doublings)

    def _end(self, begin: int, doubled: int) -> int:
        opened = _OPENED.match(self._text, begin)
        if opened:
            depth = len(opened[1])
            return self._end_of_quoted(opened.end(), depth, opened[2], doubled)
        scheme = _SCHEME.match(self._text, begin)
        return self._end_of_plain(scheme.end() if scheme else begin, doubled)

    def _end_of_quoted(self, at: int, depth: int, quote: str, doubled: int) -> int:
        """Return where the text in quotes ends that begins at `at`.

        Its quotes stand behind `depth` backslashes: none in a `repr`, one in JSON
        within JSON, three within that, two in a `repr` of JSON within JSON. More of
        them belong to what is quoted, fewer close the text around it.
        """
        doubled = depth & -depth or doubled
        begin = at
        while (at := self._text.find(quote, at)) >= 0 and self._take_mark():
            before = self._text[begin:at]
            slashes = len(before) - len(before.rstrip("\\"))
            if slashes < depth:
                return at - slashes
            begin = at = at + 1
            if slashes % (2 * (depth + doubled)) == depth:
                return at
        return len(self._text)

    def _end_of_plain(self, begin: int, doubled: int) -> int:
        """Return where a value ends that does not begin with a quote."""
        text = self._text
        within: list[str] = []
        angles = 0
        at = begin
        while (mark := search(_MARKS, text, at)) and self._take_mark():
            sign = mark[0]
            at = mark.end()
            if mark[2]:
                if within:
                    at = self._end_of_quoted(at, len(mark[1]), mark[2], doubled)
                elif _ends_here(text, at):
                    return mark.start()
            elif sign in _CLOSES:
                if sign != "<" or mark.start() == begin or angles:
                    within.append(sign)
                    angles += sign == "<"
            elif within and sign == _CLOSES[within[-1]]:
                angles -= within.pop() == "<"
                if not within:
                    begin = at
            elif not within and sign != ">":
                return mark.start()
        return len(text)

    def _take_mark(self) -> bool:
        self._marks_left -= 1
        return self._marks_left >= 0


def _ends_here(text: str, at: int) -> bool:
    """Say whether the quote before `at` closes the text that the value lies in."""
    return at == len(text) or text[at] in _AFTER_CLOSING
