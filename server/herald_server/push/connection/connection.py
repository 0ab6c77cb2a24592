"""Run a session between one connection, the hub and the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from herald_core.system.cooperative_work import TimeSlices
from herald_server.auth.identity import Identity
from herald_server.auth.quotas import close_codes
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import Account, AccountRegistry
from herald_server.auth.quotas.cpu_queue import take_turn_for_caller
from herald_server.auth.request_context import (
    ANONYMOUS,
    RequestContext,
    get_request_context,
)
from herald_server.auth.tokens import Authenticator, BadToken
from herald_server.push.connection.scheduler import FlushScheduler
from herald_server.push.connection.sender import ConnectionSender, Timeouts
from herald_server.push.connection.transport import Transport, TransportClosed
from herald_server.push.log.hub import Hub
from herald_server.push.protocol import frames
from herald_server.push.protocol.limits import Limits
from herald_server.push.protocol.messages import (
    AuthMessage,
    BadMessage,
    SubscribeMessage,
    parse_message,
)
from herald_server.push.session.session import Session
from herald_server.push.session.snapshots import SnapshotReader
from herald_server.push.status import ServerStatus

SERVICE_RESTART = 1012


class PushContext(msgspec.Struct, frozen=True):
    """Objects that all connections of this process share."""

    hub: Hub
    snapshots: SnapshotReader
    authenticator: Authenticator
    status: ServerStatus
    node: str
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    scheduler: FlushScheduler = msgspec.field(default_factory=FlushScheduler)
    metrics: PushMetrics = msgspec.field(default_factory=PushMetrics)
    accounts: AccountRegistry = msgspec.field(default_factory=AccountRegistry)
    max_connections: int = 10_000
    """Connections at once."""

    @property
    def is_full(self) -> bool:
        """Whether the connection limit is reached; that is counted."""
        if self.metrics.connections < self.max_connections:
            return False
        self.metrics.count_refusal("full")
        return True

    def is_full_for(self, account: Account) -> bool:
        """Return True if a token has reached its connection limit; that is counted.

        A tenth of all connections is left for other tokens.
        """
        if account.connections < self.max_connections - self.max_connections // 10:
            return False
        self.metrics.count_refusal("full")
        return True


TOKEN_FULL_MESSAGE = (
    "this token has as many connections as it may; close some, or come back later"
)

MESSAGE_TIMEOUT_S = 1.0
"""Seconds for which a message waits while its token is in debt of CPU time."""


def _do_nothing() -> None:
    """Do nothing."""


def _ignore_account(account: Account) -> None:
    """Ignore that a token was accepted."""


class Connection:
    """One connection."""

    def __init__(self, door: PushContext, line: Transport) -> None:
        self._context = door
        self._transport = line
        self._lifetime = asyncio.timeout(None)
        """Expires when nothing more can be sent."""
        self._sender = ConnectionSender(
            line,
            door.snapshots,
            door.scheduler,
            door.metrics,
            door.timeouts,
            self._end_session,
            self._make_session,
        )
        self._session = self._sender.session
        self._is_serving = False
        self._counted: Account | None = None
        self._caller = RequestContext(ANONYMOUS)
        self._on_admitted: Callable[[Account], None] = _ignore_account
        self._stop_revocation_watch: Callable[[], None] = _do_nothing

    def _make_session(self, wake: Callable[[], None]) -> Session:
        door = self._context
        return Session(
            door.hub,
            wake,
            door.limits,
            door.timeouts.heartbeat,
            door.metrics,
            door.status.compute_lag_ms,
        )

    async def run(
        self,
        token: str | None,
        sent: bool,
        admitted: Callable[[Account], None] = _ignore_account,
    ) -> None:
        """Serve until either side closes. `sent`: the handshake had a token.

        `admitted` is called with the account each time that a valid token was given.
        """
        self._caller = get_request_context() or self._caller
        self._on_admitted = admitted
        with self._register():
            if await self._authenticate(token, sent):
                self._send_hello()
                await self._serve()

    async def follow(self, wish: SubscribeMessage) -> None:
        """Serve one subscription until it ends.

        For a client that is authenticated already and sends nothing more. Raises
        `BadMessage` before anything is sent.
        """
        self._caller = get_request_context() or self._caller
        with self._register():
            self._accept(self._caller.identity)
            self._session.subscribe(wish, time.monotonic())
            self._sender.single = True
            self._send_status()
            await self._serve()

    @contextmanager
    def _register(self) -> Generator[None]:
        self._context.metrics.connections += 1
        try:
            yield
        except TransportClosed:
            pass
        finally:
            self._context.metrics.connections -= 1
            self._count_for(None)
            self._session.end()
            self._stop_revocation_watch()

    # -- identity -----------------------------------------------------------------

    async def _authenticate(self, token: str | None, sent: bool) -> bool:
        patience = self._context.timeouts.auth
        if not sent:
            try:
                async with asyncio.timeout(patience):
                    token = await self._wait_for_token()
            except TimeoutError:
                await self._sender.close(
                    close_codes.AUTH_TIMEOUT, f"no token within {patience:g} s"
                )
                return False
        refusal = await self._check_token(token)
        if refusal is not None:
            await self._sender.close(*refusal)
        return refusal is None

    async def _wait_for_token(self) -> str | None:
        try:
            said = parse_message(await self._transport.receive())
        except BadMessage:
            return None
        return said.token if isinstance(said, AuthMessage) else None

    async def _check_token(self, token: str | None) -> tuple[int, str] | None:
        """Authenticate `token`, or return the close code and reason."""
        try:
            who = await self._context.authenticator.authenticate(token)
        except BadToken as error:
            return close_codes.UNAUTHENTICATED, str(error)
        if not who.has_scope("read"):
            return close_codes.FORBIDDEN, "this token may not read"
        account = self._context.accounts.for_identity(who)
        if account is not self._counted and self._context.is_full_for(account):
            return close_codes.CONNECTION_LIMIT, TOKEN_FULL_MESSAGE
        self._accept(who)
        return None

    def _count_for(self, account: Account | None) -> None:
        """Count this connection for `account` instead of the previous one."""
        if self._counted is not None:
            self._counted.connections -= 1
        if account is not None:
            account.connections += 1
        self._counted = account

    def _accept(self, who: Identity) -> None:
        """Serve `who` until the token becomes invalid, or another one is given."""
        self._stop_revocation_watch()
        account = self._context.accounts.for_identity(who)
        self._caller.identity, self._caller.account = who, account
        self._count_for(account)
        self._on_admitted(account)
        self._session.subscriptions.count_for(account)
        self._session.set_task_filter(who.task_filter)
        self._stop_revocation_watch = self._context.authenticator.call_when_invalid(
            who, self._on_revoked
        )

    def _on_revoked(self, reason: str) -> None:
        self._session.close(close_codes.UNAUTHENTICATED, reason)

    def _send_hello(self) -> None:
        door = self._context
        self._session.send_control(
            "hello",
            v=frames.PROTOCOL_VERSION,
            node=door.node,
            heartbeat=round(door.timeouts.heartbeat),
            tick_ms=round(door.scheduler.rate.longest * 1000),
            limits=msgspec.to_builtins(door.limits),
        )
        self._send_status()

    # -- both directions ------------------------------------------------------------

    async def _serve(self) -> None:
        stop_telling = self._context.status.add_listener(self._send_status)
        self._sender.begin()
        try:
            async with self._lifetime:
                self._is_serving = True
                await self._receive()
        except TimeoutError:
            # The client's own message ended it.
            pass
        finally:
            self._is_serving = False
            stop_telling()
            await self._sender.end()
        if self._sender.failure is not None:
            raise self._sender.failure

    def _end_session(self) -> None:
        if self._is_serving:
            self._is_serving = False
            self._lifetime.reschedule(0.0)

    def _send_status(self) -> None:
        narrow = self._caller.identity.task_filter is not None
        self._session.send_control("status", **self._context.status.to_json(narrow))

    async def _receive(self) -> None:
        turns = TimeSlices()
        while True:
            # Messages that arrived together are read without waiting, so nothing else
            # ran.
            await turns.yield_if_due()
            text = await self._transport.receive()
            await take_turn_for_caller(MESSAGE_TIMEOUT_S)
            said = self._session.receive(text, time.monotonic())
            if isinstance(said, AuthMessage):
                await self._renew_token(said.token)
            if self._session.is_backlogged:
                await self._wait_for_answers()

    async def _wait_for_answers(self) -> None:
        """Wait until answers were sent: a client that does not read gets no more."""
        sent = self._sender.answered = asyncio.Event()
        while self._session.is_backlogged:
            sent.clear()
            await sent.wait()
        self._sender.answered = None

    async def _renew_token(self, token: str) -> None:
        refusal = await self._check_token(token)
        if refusal is not None:
            self._session.close(*refusal)

    def announce_restart(self, reconnect_in_ms: int) -> None:
        """Close this connection for a restart of the server."""
        self._session.send_control(
            "bye", code=SERVICE_RESTART, reconnect_in_ms=reconnect_in_ms
        )
        self._session.close(SERVICE_RESTART, "the server restarts")
