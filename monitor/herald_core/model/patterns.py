"""Texts in which `*` is any text and `?` one character, compiled once. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

MAX_CACHED_VERDICTS = 1_024
"""Values whose result a set of patterns caches."""


def is_glob(text: str) -> bool:
    """Return True if `text` holds a wildcard."""
    return "*" in text or "?" in text


class PatternSet:
    """Patterns of which one must match.

    Names of tasks, workers and queues are few and repeat, so each result is cached. The
    cost does not grow with the number of patterns.
    """

    __slots__ = ("_exact", "_regex", "_verdicts")

    def __init__(self, patterns: Iterable[str]) -> None:
        listed = list(patterns)
        self._exact = frozenset(one for one in listed if not is_glob(one))
        wild = [f"(?:{translate_glob(one)})" for one in listed if is_glob(one)]
        self._regex = re.compile("|".join(wild), re.DOTALL) if wild else None
        self._verdicts: dict[str, bool] = {}

    def matches(self, value: str | None) -> bool:
        """Return True if a pattern matches `value`; None matches nothing."""
        if value is None:
            return False
        if value in self._exact:
            return True
        if self._regex is None:
            return False
        verdict = self._verdicts.get(value)
        if verdict is None:
            if len(self._verdicts) >= MAX_CACHED_VERDICTS:
                self._verdicts.clear()
            verdict = self._verdicts[value] = self.is_match(value)
        return verdict

    def is_match(self, value: str) -> bool:
        """Return the same without caching it, for callers that ask once a value."""
        return value in self._exact or (
            self._regex is not None and self._regex.fullmatch(value) is not None
        )


@lru_cache(maxsize=1024)
def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return a test for one `pattern`."""
    match = re.compile(translate_glob(pattern), re.DOTALL).fullmatch
    return lambda value: match(value) is not None


def translate_glob(pattern: str) -> str:
    """Return the regular expression of `pattern`."""
    first, *others = [_escape_literal(part) for part in re.split(r"\*+", pattern)]
    if not others:
        return first
    # Atomic groups prevent backtracking, so many stars stay fast.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return f"{first}{middle}.*{others[-1]}"


def _escape_literal(part: str) -> str:
    return "".join("." if c == "?" else re.escape(c) for c in part)
