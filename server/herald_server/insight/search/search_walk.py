"""The position of a walk through the parts of a query. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.queries.task_query import TaskQuery

SEPARATOR = "."
"""Between the number of a part and the page token in it; no page token has one."""


class SearchWalk:
    """Goes through the `parts` of `query` one after the other, from `page` on.

    A token of a query without parts goes on in all of it, also if an index is declared
    meanwhile; one of a part goes on in the whole query if the index is gone.
    """

    def __init__(
        self, query: TaskQuery, parts: Sequence[TaskQuery], page: str | None
    ) -> None:
        number, mark, token = (page or "").rpartition(SEPARATOR)
        self._token: str | None = token or None
        self._is_split = len(parts) > 1 and (page is None or bool(mark))
        self.parts = list(parts) if self._is_split else [query]
        wanted = int(number) if number in ("0", "1") else 0
        self._number = min(wanted, len(self.parts) - 1)
        self.is_over = False

    @property
    def position(self) -> tuple[TaskQuery, str | None]:
        """The present part, and the page token in it."""
        return self.parts[self._number], self._token

    def advance(self, token: str | None) -> None:
        """Go on to `token` of the present part, or behind it."""
        self._token = token
        if token is None:
            self.is_over = self._number + 1 >= len(self.parts)
            self._number = min(self._number + 1, len(self.parts) - 1)

    def make_token(self) -> str | None:
        """Return the token of the position; None at the end."""
        if self.is_over:
            return None
        if not self._is_split:
            return self._token
        return f"{self._number}{SEPARATOR}{self._token or ''}"
