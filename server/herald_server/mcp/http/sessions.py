"""The sessions of the older protocol: who may open and use them, and their records."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Message, Scope, Send

from herald_core.model.codec import to_json
from herald_server.auth.identity import ISSUED_PREFIX, PROXIED_PREFIX, Identity
from herald_server.auth.tokens.claims import encode_filter_claim
from herald_server.mcp.http.session_quota import MAX_SESSIONS, SessionQuota
from herald_server.mcp.http.session_records import SessionRecords
from herald_server.mcp.http.session_restorer import SessionRestorer

FindManager = Callable[[], StreamableHTTPSessionManager | None]

TOO_MANY_SESSIONS_MESSAGE = (
    f"this token has {MAX_SESSIONS} sessions open; end some with DELETE, or use those"
    " that there are (one that is idle ends after 30 minutes, an unused one after one)"
)


class Sessions:
    """The sessions of this process; `find_manager` returns what holds them.

    `on_stream` is called with the id of a session whose client opens its stream of
    notifications.
    """

    def __init__(
        self,
        find_manager: FindManager,
        records: SessionRecords,
        on_stream: Callable[[str], None],
    ) -> None:
        self._find_manager = find_manager
        self._on_stream = on_stream
        self._records = records
        self._quota = SessionQuota(self.list_open)
        self._restorer = SessionRestorer(records, find_manager)

    def list_open(self) -> dict[str, StreamableHTTPServerTransport]:
        """Return the open sessions, by id."""
        manager = self._find_manager()
        if manager is None:
            return {}
        return dict(manager._server_instances)  # pyright: ignore[reportPrivateUsage]

    def is_full_for(self, who: Identity) -> bool:
        """Return True if `who` may open no further session."""
        return self._quota.is_used_up(who.root_token)

    @asynccontextmanager
    async def count_session(
        self, who: Identity, body: bytes, send: Send
    ) -> AsyncGenerator[Send]:
        """Yield the `send` for a message `body` of `who` that may open a session."""
        add = partial(self._add, who, body)
        async with self._quota.count_session(who.root_token, send, add) as counted:
            yield counted

    def _add(self, who: Identity, body: bytes, id_: str) -> None:
        self._records.add(id_, describe_owner(who), body)
        self._records.retain(self.list_open())

    def note_stream(self, id_: str, send: Send) -> Send:
        """Return the `send` for a GET in the session `id_`."""

        async def send_noted(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._on_stream(id_)

        return send_noted

    @asynccontextmanager
    async def use(self, id_: str, who: Identity, scope: Scope) -> AsyncGenerator[None]:
        """Serve a message of `who` in the session `id_` within the block.

        The session is restored if another process had it. Raises `StoreError`.
        """
        if await self._restorer.restore(id_, describe_owner(who), scope):
            self._quota.add(id_, who.root_token)
        was_open = id_ in self.list_open()
        if was_open and scope["method"] != "DELETE":
            await self._records.touch(id_)
        yield
        if was_open and scope["method"] == "DELETE" and id_ not in self.list_open():
            await self._records.delete(id_)


def make_user(who: Identity) -> AuthenticatedUser:
    """Return `who` in the terms of the SDK, which compares owners of sessions."""
    access = AccessToken(
        token="", client_id=who.name, scopes=[], subject=_describe_rights(who)
    )
    return AuthenticatedUser(access)


def describe_owner(who: Identity) -> str:
    """Return a text that is the same for all tokens that may use a session of `who`."""
    return f"{who.name} {_describe_rights(who)}"


def _describe_rights(who: Identity) -> str:
    visible = to_json(encode_filter_claim(who.task_filter)).decode()
    # An issuer's next token for the same holder has another id.
    is_issued = who.name.startswith((ISSUED_PREFIX, PROXIED_PREFIX))
    return visible if is_issued else f"{who.id} {visible}"
