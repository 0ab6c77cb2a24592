"""Pages of lists that are read as a whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from herald_core.errors import InvalidInput

T = TypeVar("T")

DEFAULT_ROWS = 20
"""Rows of an answer unless the caller asks for more."""


def cut_page(
    items: Sequence[T], limit: int, page: str | None
) -> tuple[Sequence[T], str | None]:
    """Return up to `limit` of `items`, and the `page` of those that follow, if any.

    `page` is what an earlier answer gave as `next`. Raises `InvalidInput`.
    """
    start = _parse_page(page)
    end = start + limit
    return items[start:end], str(end) if end < len(items) else None


def _parse_page(page: str | None) -> int:
    if page is None:
        return 0
    if page.isascii() and page.isdigit() and len(page) < 8:
        return int(page)
    raise InvalidInput(
        "page must be `next` of the answer before; leave it out to begin", "page"
    )
