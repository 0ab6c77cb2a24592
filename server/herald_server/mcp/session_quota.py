"""How many sessions one token may have open, those it made included."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
from mcp.server.streamable_http import StreamableHTTPServerTransport
from starlette.datastructures import Headers
from starlette.types import Message, Send

MAX_SESSIONS = 500
"""Sessions of one token. Each takes about 44 KB until it ends, or idles for 30 min."""

UNUSED_S = 60.0
"""Seconds after which a session ends whose client says nothing after it opened it."""

SESSION_ID = "mcp-session-id"


class SessionQuota:
    """Counts open sessions by the token that opened them.

    `sessions` returns all that are open, by id.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, StreamableHTTPServerTransport]],
        most: int = MAX_SESSIONS,
    ) -> None:
        self._sessions = sessions
        self._most = most
        self._owners: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def is_used_up(self, token: str) -> bool:
        """Return True if the `token` may open no more."""
        if self._counts[token] >= self._most:
            self._forget_ended()
        return self._counts[token] >= self._most

    @asynccontextmanager
    async def watching(self, token: str, send: Send) -> AsyncGenerator[Send]:
        """Answer a message to `token` in the block, by the `send` that it is given.

        A session that it opens ends in `UNUSED_S` unless it is used.
        """
        opened: list[str] = []
        yield self._noting(token, send, opened)
        for id_ in opened:
            session = self._sessions().get(id_)
            scope = None if session is None else session.idle_scope
            # Without a deadline it is in use already; a request sets a later one.
            if scope is not None and not math.isinf(scope.deadline):
                scope.deadline = anyio.current_time() + UNUSED_S

    def _noting(self, token: str, send: Send, opened: list[str]) -> Send:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                id_ = Headers(raw=message["headers"]).get(SESSION_ID)
                if id_ is not None and id_ not in self._owners:
                    self._owners[id_] = token
                    self._counts[token] += 1
                    opened.append(id_)
            await send(message)

        return noting

    def _forget_ended(self) -> None:
        still_open = self._sessions()
        self._owners = {i: t for i, t in self._owners.items() if i in still_open}
        self._counts = Counter(self._owners.values())
