"""A search in stored records, many at once, without decoding them into tasks.

The texts of a task lie in its record as they are shown, in UTF-8. Records of a batch
are decompressed into one buffer, and a text is searched in all of them by one call.
What is not found cannot match; what is found may.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from herald_core.model.queries.needles import Needle
from herald_core.store.redis.encoding.record_codec import decompress_bodies

SEPARATOR = b"\0"

FOLDED_TO_ASCII = ("\N{KELVIN SIGN}", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}")
"""The letters beyond ASCII whose lower case has a letter of ASCII: `k` and `i`."""

FINAL_SIGMA, SIGMA = "ςσ"
"""Which of the two a capital sigma becomes depends on the letters around it."""


class TextMatcher:
    """Selects the records that hold one alternative of each needle, in any case."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        plain = [needle for needle in needles if all(map(str.isascii, needle))]
        self._needles = [[text.encode() for text in needle] for needle in plain]
        self._others = [
            [_fold(text) for text in needle]
            for needle in needles
            if needle not in plain
        ]
        """Needles with letters beyond ASCII, whose case bytes do not tell."""
        letters = "".join(text for needle in plain for text in needle)
        self._odd_letters = [
            letter.encode()
            for letter in FOLDED_TO_ASCII
            if letter.lower()[0] in letters
        ]

    @property
    def selects_all(self) -> bool:
        """True if it has no needles."""
        return not self._needles and not self._others

    def select(self, records: Sequence[bytes]) -> list[int]:
        """Return the places of the records that have the texts, in order.

        Raises `StoreError` for a record of another version.
        """
        if self.selects_all:
            return list(range(len(records)))
        found: list[int] = []
        first = 0
        for bodies in decompress_bodies(records):
            found += [first + place for place in self._select_bodies(bodies)]
            first += len(bodies)
        return found

    def _select_bodies(self, bodies: Sequence[memoryview]) -> Iterator[int]:
        if not self._needles:
            yield from (n for n, body in enumerate(bodies) if self._has_others(body))
            return
        text = SEPARATOR.join(bodies).lower()
        if any(letter in text for letter in self._odd_letters):
            bodies = [memoryview(_fold_to_ascii(bytes(body))) for body in bodies]
            text = SEPARATOR.join(bodies).lower()
        first, *rest = self._needles
        if not any(one in text for one in first):
            return
        ends = list(accumulate(len(body) + 1 for body in bodies))
        for place in sorted(_find_places(text, first, ends)):
            begin, end = ends[place - 1] if place else 0, ends[place]
            if all(_has_any(text, needle, begin, end) for needle in rest) and (
                not self._others or self._has_others(bodies[place])
            ):
                yield place

    def _has_others(self, body: memoryview) -> bool:
        text = _fold(bytes(body).decode("utf-8", "ignore"))
        return all(any(one in text for one in needle) for needle in self._others)


def _fold(text: str) -> str:
    return text.lower().replace(FINAL_SIGMA, SIGMA)


def _fold_to_ascii(body: bytes) -> bytes:
    for letter in FOLDED_TO_ASCII:
        body = body.replace(letter.encode(), letter.lower().encode())
    return body


def _find_places(text: bytes, needle: list[bytes], ends: list[int]) -> set[int]:
    """Return the places of the records in `text` that hold one of `needle`."""
    places: set[int] = set()
    for one in needle:
        at = text.find(one)
        while at >= 0:
            place = bisect_right(ends, at)
            places.add(place)
            at = text.find(one, ends[place])
    return places


def _has_any(text: bytes, needle: list[bytes], begin: int, end: int) -> bool:
    return any(text.find(one, begin, end) >= 0 for one in needle)
