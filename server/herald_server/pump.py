"""Pumps a session between one connection, the hub and the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from herald_monitor.errors import StoreError
from herald_server import frames, limits
from herald_server.auth import Tokens
from herald_server.hub import Hub
from herald_server.limits import Limits, Tally
from herald_server.messages import Auth, BadMessage, Subscribe, parse_message
from herald_server.pacing import Pace
from herald_server.reading import Library
from herald_server.session import HEARTBEAT, Session
from herald_server.status import Status

RESTART = 1012

CUT = "herald.cut"
"""The ASGI extension by which a server lets a connection be ended at once."""


class Gone(Exception):
    """The other side is gone, or does not listen."""


class Line(Protocol):
    """A connection that carries frames. Every method raises `Gone`."""

    async def hear(self) -> str | bytes:
        """Return the next frame of the client."""
        ...

    async def send(self, frame: bytes) -> None:
        """Send a frame; wait while the client takes none."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End it, telling why."""
        ...

    def cut(self, code: int, reason: str) -> None:
        """End it without waiting for anything."""
        ...


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long clients are waited for, in seconds."""

    auth: float = 10.0
    send: float = 30.0
    heartbeat: float = HEARTBEAT


class Door(msgspec.Struct, frozen=True):
    """What every connection of this process shares."""

    hub: Hub
    library: Library
    tokens: Tokens
    status: Status
    node: str
    limits: Limits = Limits()
    patience: Patience = Patience()
    pace: Pace = msgspec.field(default_factory=Pace)
    tally: Tally = msgspec.field(default_factory=Tally)


class Pump:
    """One connection."""

    def __init__(self, door: Door, line: Line) -> None:
        self._door = door
        self._line = line
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        """Set when answers were sent, and more may be heard."""
        self._session = Session(
            door.hub,
            self._ready.set,
            door.limits,
            door.patience.heartbeat,
            door.tally,
            door.status.lag_ms,
        )
        self._told_at = 0.0
        self._single = False
        """Whether the connection ends with its one subscription."""
        self._gone = False
        self._sending_since: float | None = None

    async def run(self, token: str | None, sent: bool) -> None:
        """Serve until either side ends it. `sent`: the handshake had a token."""
        with self._connected():
            if await self._admit(token, sent):
                self._greet()
                await self._serve()

    async def follow(self, wish: Subscribe) -> None:
        """Serve one subscription until it is over.

        For a client that was admitted already, and says nothing more. Raises
        `BadMessage` before anything is sent.
        """
        with self._connected():
            self._session.subscribe(wish, time.monotonic())
            self._single = True
            self._tell_status()
            await self._serve()

    @contextmanager
    def _connected(self) -> Generator[None]:
        self._door.tally.connections += 1
        try:
            yield
        except* Gone:
            pass
        finally:
            self._door.tally.connections -= 1
            self._session.end()

    # -- who it is ----------------------------------------------------------------

    async def _admit(self, token: str | None, sent: bool) -> bool:
        patience = self._door.patience.auth
        if not sent:
            try:
                async with asyncio.timeout(patience):
                    token = await self._first_token()
            except TimeoutError:
                await self._close(
                    limits.AUTH_TIMEOUT, f"no token within {patience:g} s"
                )
                return False
        refusal = self._refusal(token)
        if refusal is not None:
            await self._close(*refusal)
        return refusal is None

    async def _first_token(self) -> str | None:
        try:
            said = parse_message(await self._line.hear())
        except BadMessage:
            return None
        return said.token if isinstance(said, Auth) else None

    def _refusal(self, token: str | None) -> tuple[int, str] | None:
        who = self._door.tokens.check(token)
        if who is None:
            return limits.UNAUTHENTICATED, "a valid token is needed"
        if not who.may("read"):
            return limits.FORBIDDEN, "this token may not read"
        return None

    def _greet(self) -> None:
        door = self._door
        self._session.say(
            "hello",
            v=frames.VERSION,
            node=door.node,
            heartbeat=round(door.patience.heartbeat),
            tick_ms=round(door.pace.tick * 1000),
            limits=msgspec.to_builtins(door.limits),
        )
        self._tell_status()

    # -- both directions ------------------------------------------------------------

    async def _serve(self) -> None:
        stop_telling = self._door.status.tell(self._tell_status)
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._hear()),
                    tasks.create_task(self._watch()),
                ]
                await self._talk()
                for task in others:
                    task.cancel()
        finally:
            stop_telling()

    def _tell_status(self) -> None:
        self._session.say("status", **self._door.status.shown())

    async def _hear(self) -> None:
        while True:
            said = self._session.receive(await self._heard(), time.monotonic())
            if isinstance(said, Auth):
                self._renew(said.token)
            while self._session.full:
                # Who takes no answers is asked for no more questions.
                self._room.clear()
                await self._room.wait()

    async def _heard(self) -> str | bytes:
        try:
            return await self._line.hear()
        except Gone:
            # A library that is being waited for may swallow the cancellation
            # which follows from this; so the talking side is told as well.
            self._gone = True
            self._ready.set()
            raise

    def _renew(self, token: str) -> None:
        refusal = self._refusal(token)
        if refusal is not None:
            self._session.close(*refusal)

    async def _talk(self) -> None:
        session = self._session
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._gone:
                raise Gone
            await self._answer()
            await self._read()
            if session.closing:
                await self._answer()
                await self._close(*session.closing)
                return
            wait = self._door.pace.wait(self._told_at, time.monotonic())
            if wait:
                await asyncio.sleep(wait)
            self._told_at = time.monotonic()
            await self._send(session.data(self._told_at))
            if self._single and session.idle:
                session.close(limits.NORMAL, "done")

    async def _read(self) -> None:
        session = self._session
        while session.reads and not session.closing:
            read = session.reads.popleft()
            if not session.wanted(read):
                continue
            try:
                async for _ in self._door.library.serve(session, read):
                    await self._answer()
            except StoreError as error:
                session.fail(read, "store", str(error), retry=True)
            await self._answer()

    async def _answer(self) -> None:
        await self._send(self._session.control())
        self._room.set()

    async def _send(self, out: list[bytes]) -> None:
        tally = self._door.tally
        for frame in out:
            self._sending_since = time.monotonic()
            await self._line.send(frame)
            tally.frames += 1
            tally.bytes += len(frame)
        self._sending_since = None

    # -- time ------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Wake the talking side for bookmarks; end a connection that takes nothing."""
        patience = self._door.patience
        glance = min(patience.send / 6, patience.heartbeat / 3)
        while True:
            now = time.monotonic()
            since = self._sending_since
            if since is not None and now - since > patience.send:
                self._cut(limits.SLOW, "too slow; reconnect and resume")
            quiet_for = self._session.quiet_for(now)
            if not quiet_for:
                self._ready.set()
            await asyncio.sleep(min(glance, quiet_for or glance))

    def _cut(self, code: int, reason: str) -> None:
        self._count_close(code)
        self._line.cut(code, reason)
        raise Gone

    def bye(self, reconnect_in_ms: int) -> None:
        """End this connection for a restart of the server."""
        self._session.say("bye", code=RESTART, reconnect_in_ms=reconnect_in_ms)
        self._session.close(RESTART, "the server restarts")

    async def _close(self, code: int, reason: str) -> None:
        self._count_close(code)
        await self._line.close(code, reason)

    def _count_close(self, code: int) -> None:
        closes = self._door.tally.closes
        closes[code] = closes.get(code, 0) + 1
