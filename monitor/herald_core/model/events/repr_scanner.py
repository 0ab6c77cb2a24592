"""The end of a value in the text of a `repr`, of JSON, of `key=value`.

The scan is one pass without backtracking, with a bounded number of steps, so no input
can slow it down. A truncated value reaches to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from herald_core.model.events.text_search import search_yielding

MAX_MARKS = 500
"""Quotes, brackets and separators that are looked at in one text: 0.5 ms."""

# The number of backslashes is bounded, which keeps the scan linear.
_OPENED = re.compile(r"[bBrRuUfF]{0,2}(\\{0,16})(['\"])")
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|apikey|negotiate)\s+(?=[^\s,;&])", re.IGNORECASE
)
_MARKS = re.compile(r"(\\{0,16}+)(['\"])|[\[\](){}<>]|[\s,;&]|\\{1,16}+[nrt]")
_AMBIGUOUS = re.compile(r"\\\\['\"]")
_AFTER_CLOSING = frozenset(" \t\r\n,;:)]}>'\"\\")
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def list_escape_depths(text: str) -> Sequence[int]:
    """Return the possible numbers of escape levels in `text`.

    JSON within a `repr` doubles each backslash but not the quotes. There, a quote after
    two backslashes is escaped; elsewhere it closes the text.
    """
    return (1, 2, 4) if search_yielding(_AMBIGUOUS, text) else (1,)


class ValueScanner:
    """Finds where values end in `text`.

    It looks at `max_marks` quotes, brackets and separators at most. Beyond them a
    value reaches to the end of the text.
    """

    def __init__(self, text: str, max_marks: int = MAX_MARKS) -> None:
        self._text = text
        self._escape_depths = list_escape_depths(text)
        self._marks_left = max_marks

    def find_end(self, begin: int) -> int:
        """Return the end of the value that starts at `begin`, or the maximum."""
        return max(
            self._find_any_end(begin, doubled) for doubled in self._escape_depths
        )

    def _find_any_end(self, begin: int, doubled: int) -> int:
        opened = _OPENED.match(self._text, begin)
        if opened:
            depth = len(opened[1])
            return self._find_quoted_end(opened.end(), depth, opened[2], doubled)
        scheme = _SCHEME.match(self._text, begin)
        return self._find_plain_end(scheme.end() if scheme else begin, doubled)

    def _find_quoted_end(self, at: int, depth: int, quote: str, doubled: int) -> int:
        """Return the end of the quoted text that begins at `at`.

        Its quotes follow `depth` backslashes: none in a `repr`, one in JSON within
        JSON, three within that, two in a `repr` of JSON within JSON. A quote after more
        of them belongs to the text; a quote after fewer closes the outer text.
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

    def _find_plain_end(self, begin: int, doubled: int) -> int:
        """Return the end of a value without quotes."""
        text = self._text
        within: list[str] = []
        angles = 0
        at = begin
        while (mark := search_yielding(_MARKS, text, at)) and self._take_mark():
            sign = mark[0]
            at = mark.end()
            if mark[2]:
                if within:
                    at = self._find_quoted_end(at, len(mark[1]), mark[2], doubled)
                elif _is_closing_quote(text, at):
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


def _is_closing_quote(text: str, at: int) -> bool:
    """Return True if the quote before `at` closes the text around the value."""
    return at == len(text) or text[at] in _AFTER_CLOSING
