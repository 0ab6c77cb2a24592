"""How many sessions one token may have open, those it made included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container

from starlette.datastructures import Headers
from starlette.types import Message, Send

MAX_SESSIONS = 500
"""Sessions of one token. Each takes about 44 KB until it ends, or idles for 30 min."""

SESSION_ID = "mcp-session-id"


class SessionQuota:
    """Counts open sessions by the token that opened them.

    `open_ids` returns the ids of all sessions that are open.
    """

    def __init__(
        self, open_ids: Callable[[], Container[str]], most: int = MAX_SESSIONS
    ) -> None:
        self._open_ids = open_ids
        self._most = most
        self._owners: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def is_used_up(self, token: str) -> bool:
        """Return True if the `token` may open no more."""
        if self._counts[token] >= self._most:
            self._forget_ended()
        return self._counts[token] >= self._most

    def watch(self, token: str, send: Send) -> Send:
        """Return `send`, which notes the session that an answer to `token` opens."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                id_ = Headers(raw=message["headers"]).get(SESSION_ID)
                if id_ is not None and id_ not in self._owners:
                    self._owners[id_] = token
                    self._counts[token] += 1
            await send(message)

        return noting

    def _forget_ended(self) -> None:
        still_open = self._open_ids()
        self._owners = {i: t for i, t in self._owners.items() if i in still_open}
        self._counts = Counter(self._owners.values())
