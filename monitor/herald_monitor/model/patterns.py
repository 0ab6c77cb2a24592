"""Texts in which `*` is any text and `?` one character, compiled once. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

MAX_REMEMBERED = 1_024
"""Values of which a set of patterns remembers whether they match."""


def is_glob(text: str) -> bool:
    """Say whether `text` holds a wildcard."""
    return "*" in text or "?" in text


class PatternSet:
    """Patterns of which one must match.

    Names of tasks, workers and queues are few and come again and again, so whether
    one matches is remembered: what it costs does not grow with the patterns.
    """

    __slots__ = ("_exact", "_regex", "_verdicts")

    def __init__(self, patterns: Iterable[str]) -> None:
        listed = list(patterns)
        self._exact = frozenset(one for one in listed if not is_glob(one))
        wild = [f"(?:{translate(one)})" for one in listed if is_glob(one)]
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
            if len(self._verdicts) >= MAX_REMEMBERED:
                self._verdicts.clear()
            verdict = self._regex.fullmatch(value) is not None
            self._verdicts[value] = verdict
        return verdict


@lru_cache(maxsize=1024)
def glob(pattern: str) -> Callable[[str], bool]:
    """Return a test for one `pattern`."""
    match = re.compile(translate(pattern), re.DOTALL).fullmatch
    return lambda value: match(value) is not None


def translate(pattern: str) -> str:
    """Return the regular expression of `pattern`."""
    first, *others = [_literal(part) for part in re.split(r"\*+", pattern)]
    if not others:
        return first
    # Atomic: what a star took is not tried otherwise, so many stars stay fast.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return f"{first}{middle}.*{others[-1]}"


def _literal(part: str) -> str:
    return "".join("." if c == "?" else re.escape(c) for c in part)
