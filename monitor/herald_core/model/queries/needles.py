"""Texts that a record must hold for a query to match: a quick test before decoding.

A needle is a list of alternatives in lower case. A record without one of each needle
cannot match; one that has them may. Pure.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from herald_core.model.queries.task_query import TaskQuery
from herald_core.model.queries.text_term import TextTerm

Needle: TypeAlias = tuple[str, ...]

_PLAIN_RUNS = re.compile(r"[^\W_]+(?:[ _.:@/+-]+[^\W_]+)*", re.ASCII)
"""Texts that the `repr` of a value shows as they are."""


def list_needles(query: TaskQuery) -> tuple[Needle, ...]:
    """Return the needles of `query`, the longest first."""
    found: list[Needle] = []
    for term in query.terms:
        if term.path:
            found += [(step.lower(),) for step in term.path if not step.isdigit()]
            found += _list_value_needles(term)
        else:
            found.append(term.folded)
    return tuple(sorted(set(found), key=_get_length, reverse=True))


def _list_value_needles(term: TextTerm) -> list[Needle]:
    """Return the needle of the values of a term with a path; none if one has no text.

    A value is shown with escapes and quotes, and may hold wildcards: only its longest
    plain part is certain.
    """
    parts = tuple(_find_longest_run(text) for text in term.folded)
    return [parts] if all(parts) else []


def _find_longest_run(text: str) -> str:
    return max(_PLAIN_RUNS.findall(text), key=len, default="")


def _get_length(needle: Needle) -> int:
    return min(map(len, needle))
