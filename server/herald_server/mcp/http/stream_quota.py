"""Limit of the streams that are open at once: of all tokens, and of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError

from herald_server.auth.identity import Identity


class StreamQuota:
    """Counts streams; one token, with those minted from it, may have half of all.

    `code` is that of the error for one too many.
    """

    def __init__(self, max_streams: int, code: int) -> None:
        self._max_streams = max_streams
        self._max_per_token = max(max_streams // 2, 1)
        self._code = code
        self._counts: Counter[str] = Counter()

    @contextmanager
    def hold(self, who: Identity) -> Generator[None]:
        """Count one stream of `who` within the block. Raises `MCPError`."""
        token = who.root_token
        self._check(token)
        self._counts[token] += 1
        try:
            yield
        finally:
            self._counts[token] -= 1
            if not self._counts[token]:
                del self._counts[token]

    def _check(self, token: str) -> None:
        if self._counts.total() >= self._max_streams:
            raise MCPError(
                self._code, "too many streams are open here; try again later"
            )
        if self._counts[token] >= self._max_per_token:
            raise MCPError(
                self._code,
                f"this token has {self._max_per_token} streams open here, as many as "
                "one token may have; close one that is not read any more",
            )
