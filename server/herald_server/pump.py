"""Pumps a session between one connection, the hub and the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from herald_monitor.turns import Turns
from herald_server import frames, limits
from herald_server.auth import Identity
from herald_server.caller import NOBODY, Caller, caller
from herald_server.cpu_budget import Account, Accounts
from herald_server.hub import Hub
from herald_server.limits import Limits, Tally
from herald_server.line import Gone, Line
from herald_server.messages import Auth, BadMessage, Subscribe, parse_message
from herald_server.reading import Library
from herald_server.rounds import Rounds
from herald_server.session import Session
from herald_server.status import Status
from herald_server.telling import Patience, Telling
from herald_server.tokens import BadToken, Keyring
from herald_server.waiting_turns import take_turn_for_caller

RESTART = 1012


class Door(msgspec.Struct, frozen=True):
    """What every connection of this process shares."""

    hub: Hub
    library: Library
    keyring: Keyring
    status: Status
    node: str
    limits: Limits = Limits()
    patience: Patience = Patience()
    rounds: Rounds = msgspec.field(default_factory=Rounds)
    tally: Tally = msgspec.field(default_factory=Tally)
    accounts: Accounts = msgspec.field(default_factory=Accounts)
    most: int = 10_000
    """Connections at once."""

    @property
    def full(self) -> bool:
        """Whether nobody else may come in now; that is counted."""
        if self.tally.connections < self.most:
            return False
        self.tally.refuse("full")
        return True

    def is_full_for(self, account: Account) -> bool:
        """Return True if a token may have no more connections; that is counted.

        A tenth of all is left for other tokens.
        """
        if account.connections < self.most - self.most // 10:
            return False
        self.tally.refuse("full")
        return True


TOKEN_FULL = (
    "this token has as many connections as it may; close some, or come back later"
)

MESSAGE_WAIT_S = 1.0
"""Seconds that a message waits while its token has taken too much CPU time."""


def _nothing() -> None:
    """Do nothing."""


def _unnoted(account: Account) -> None:
    """Note nothing of who was let in."""


class Pump:
    """One connection."""

    def __init__(self, door: Door, line: Line) -> None:
        self._door = door
        self._line = line
        self._stay = asyncio.timeout(None)
        """Left when nothing more can be told."""
        self._telling = Telling(
            line, door.library, door.rounds, door.tally, door.patience, self._stop
        )
        self._session = self._telling.session = Session(
            door.hub,
            self._telling.wake,
            door.limits,
            door.patience.heartbeat,
            door.tally,
            door.status.lag_ms,
        )
        self._staying = False
        self._counted: Account | None = None
        self._caller = Caller(NOBODY)
        self._admitted: Callable[[Account], None] = _unnoted
        self._ends: Callable[[], None] = _nothing

    async def run(
        self,
        token: str | None,
        sent: bool,
        admitted: Callable[[Account], None] = _unnoted,
    ) -> None:
        """Serve until either side ends it. `sent`: the handshake had a token.

        `admitted` is called with who pays, each time that a valid one was given.
        """
        self._caller = caller() or self._caller
        self._admitted = admitted
        with self._connected():
            if await self._admit(token, sent):
                self._greet()
                await self._serve()

    async def follow(self, wish: Subscribe) -> None:
        """Serve one subscription until it is over.

        For a client that was admitted already, and says nothing more. Raises
        `BadMessage` before anything is sent.
        """
        self._caller = caller() or self._caller
        with self._connected():
            self._let_in(self._caller.who)
            self._session.subscribe(wish, time.monotonic())
            self._telling.single = True
            self._tell_status()
            await self._serve()

    @contextmanager
    def _connected(self) -> Generator[None]:
        self._door.tally.connections += 1
        try:
            yield
        except Gone:
            pass
        finally:
            self._door.tally.connections -= 1
            self._count_for(None)
            self._session.end()
            self._ends()

    # -- who it is ----------------------------------------------------------------

    async def _admit(self, token: str | None, sent: bool) -> bool:
        patience = self._door.patience.auth
        if not sent:
            try:
                async with asyncio.timeout(patience):
                    token = await self._first_token()
            except TimeoutError:
                await self._telling.close(
                    limits.AUTH_TIMEOUT, f"no token within {patience:g} s"
                )
                return False
        refusal = await self._refusal(token)
        if refusal is not None:
            await self._telling.close(*refusal)
        return refusal is None

    async def _first_token(self) -> str | None:
        try:
            said = parse_message(await self._line.hear())
        except BadMessage:
            return None
        return said.token if isinstance(said, Auth) else None

    async def _refusal(self, token: str | None) -> tuple[int, str] | None:
        """Let in whoever `token` belongs to, or return why not."""
        try:
            who = await self._door.keyring.admit(token)
        except BadToken as error:
            return limits.UNAUTHENTICATED, str(error)
        if not who.may("read"):
            return limits.FORBIDDEN, "this token may not read"
        account = self._door.accounts.by_token(who)
        if account is not self._counted and self._door.is_full_for(account):
            return limits.FULL, TOKEN_FULL
        self._let_in(who)
        return None

    def _count_for(self, account: Account | None) -> None:
        """Count this connection for `account` instead of whom it was counted for."""
        if self._counted is not None:
            self._counted.connections -= 1
        if account is not None:
            account.connections += 1
        self._counted = account

    def _let_in(self, who: Identity) -> None:
        """Serve `who` until their token is good no more, or another one is given."""
        self._ends()
        account = self._door.accounts.by_token(who)
        self._caller.who, self._caller.account = who, account
        self._count_for(account)
        self._admitted(account)
        self._session.count_for(account)
        self._session.narrow(who.only)
        self._ends = self._door.keyring.staying(who, self._leave)

    def _leave(self, reason: str) -> None:
        self._session.close(limits.UNAUTHENTICATED, reason)

    def _greet(self) -> None:
        door = self._door
        self._session.say(
            "hello",
            v=frames.VERSION,
            node=door.node,
            heartbeat=round(door.patience.heartbeat),
            tick_ms=round(door.rounds.pace.longest * 1000),
            limits=msgspec.to_builtins(door.limits),
        )
        self._tell_status()

    # -- both directions ------------------------------------------------------------

    async def _serve(self) -> None:
        stop_telling = self._door.status.tell(self._tell_status)
        self._telling.begin()
        try:
            async with self._stay:
                self._staying = True
                await self._hear()
        except TimeoutError:
            # Who talks has ended it.
            pass
        finally:
            self._staying = False
            stop_telling()
            await self._telling.end()
        if self._telling.failure is not None:
            raise self._telling.failure

    def _stop(self) -> None:
        if self._staying:
            self._staying = False
            self._stay.reschedule(0.0)

    def _tell_status(self) -> None:
        narrow = self._caller.who.only is not None
        self._session.say("status", **self._door.status.shown(narrow))

    async def _hear(self) -> None:
        turns = Turns()
        while True:
            # What arrived at once is not waited for, so nobody else had a turn.
            await turns.take()
            text = await self._line.hear()
            await take_turn_for_caller(MESSAGE_WAIT_S)
            said = self._session.receive(text, time.monotonic())
            if isinstance(said, Auth):
                await self._renew(said.token)
            if self._session.full:
                await self._answered()

    async def _answered(self) -> None:
        """Wait: who takes no answers is asked for no more questions."""
        sent = self._telling.answered = asyncio.Event()
        while self._session.full:
            sent.clear()
            await sent.wait()
        self._telling.answered = None

    async def _renew(self, token: str) -> None:
        refusal = await self._refusal(token)
        if refusal is not None:
            self._session.close(*refusal)

    def bye(self, reconnect_in_ms: int) -> None:
        """End this connection for a restart of the server."""
        self._session.say("bye", code=RESTART, reconnect_in_ms=reconnect_in_ms)
        self._session.close(RESTART, "the server restarts")
