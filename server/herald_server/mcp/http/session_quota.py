"""Limit of open sessions per token, including those of minted tokens."""

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
"""Sessions of one token. Each takes about 44 KB until it ends or is idle for 30 min."""

MAX_UNUSED_S = 60.0
"""Seconds after which a session without a request ends."""

SESSION_ID = "mcp-session-id"


class SessionQuota:
    """Counts open sessions by the token that opened them.

    `sessions` returns all that are open, by id.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, StreamableHTTPServerTransport]],
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        self._sessions = sessions
        self._max_sessions = max_sessions
        self._owners: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def is_used_up(self, token: str) -> bool:
        """Return True if `token` may not open another session."""
        if self._counts[token] >= self._max_sessions:
            self._forget_ended()
        return self._counts[token] >= self._max_sessions

    def add(self, id_: str, token: str) -> None:
        """Count a session that `token` has opened, here or in another process."""
        self._owners[id_] = token
        self._counts[token] += 1

    @asynccontextmanager
    async def count_session(
        self, token: str, send: Send, on_open: Callable[[str], None]
    ) -> AsyncGenerator[Send]:
        """Yield the `send` with which to respond to a message of `token`.

        `on_open` is called with the id of a session that it opens, which ends in
        `MAX_UNUSED_S` unless it is used.
        """
        opened: list[str] = []

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                id_ = Headers(raw=message["headers"]).get(SESSION_ID)
                if id_ is not None and id_ not in self._owners:
                    self.add(id_, token)
                    opened.append(id_)
                    on_open(id_)
            await send(message)

        yield send_noted
        for id_ in opened:
            session = self._sessions().get(id_)
            scope = None if session is None else session.idle_scope
            # Without a deadline it is already in use; each request sets a later one.
            if scope is not None and not math.isinf(scope.deadline):
                scope.deadline = anyio.current_time() + MAX_UNUSED_S

    def _forget_ended(self) -> None:
        still_open = self._sessions()
        self._owners = {i: t for i, t in self._owners.items() if i in still_open}
        self._counts = Counter(self._owners.values())
