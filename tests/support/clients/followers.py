"""Clients that follow through every fault, as those of the quickstart do."""

import asyncio
import contextlib
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from websockets.exceptions import InvalidHandshake

from herald_server.push.freshness import NO_BROKER
from tests.support.clients.websocket import Listener, connected
from tests.support.journal import Journal

MEND_FIRST = 4400
PAUSE = 0.05


class Follower:
    """A watcher of everything, or of some states, that always comes back.

    It believes every cursor at once, and resumes from the last one. `url` may be
    changed: the next connection goes there.
    """

    def __init__(self, url: str, *states: str, mode: str = "changes") -> None:
        self.url = url
        self.mode = mode
        self.states = states
        self.journal = Journal("all")
        self._statuses: list[dict[str, Any]] = []
        self.closes: list[int] = []
        self._may = asyncio.Event()
        self._may.set()
        self._leave = asyncio.Event()
        self._listener: Listener | None = None

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """All that it was told about the trust it may have."""
        now = self._listener.of("status") if self._listener else []
        return self._statuses + now

    @property
    def resets(self) -> list[str]:
        """The reasons of the resets that it was told."""
        told = [step.frame.get("reset") for step in self.journal.steps]
        return [str(reason) for reason in told if reason]

    def doubts(self) -> bool:
        """Return True if it is told now that nothing comes from the broker."""
        last = self.statuses[-1] if self.statuses else {}
        return last.get("problem") == NO_BROKER

    def gaps(self, state: str) -> set[str]:
        """Return the ids of the gaps that it was shown in a state."""
        shown = [gap for status in self.statuses for gap in status["gaps"]]
        return {gap["id"] for gap in shown if gap["state"] == state}

    def leave(self) -> None:
        """Break the connection off, and stay away until `come_back`."""
        self._may.clear()
        self._leave.set()

    def come_back(self) -> None:
        """Connect again."""
        self._leave.clear()
        self._may.set()

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            await self._may.wait()
            with contextlib.suppress(OSError, InvalidHandshake, TimeoutError):
                await self._once()
            await asyncio.sleep(PAUSE)

    async def _once(self) -> None:
        wish: dict[str, Any] = {"mode": self.mode}
        if self.states:
            wish["filter"] = {"state": list(self.states)}
        async with connected(self.url) as self._listener:
            listener = self._listener
            try:
                await listener.subscribe("all", self.journal, **wish)
                self.journal.acknowledge()
                code = await self._until_closed(listener.socket)
            finally:
                self._statuses += listener.of("status")
                self._listener = None
                errors = listener.of("error")
        assert code < MEND_FIRST, (code, errors)

    async def _until_closed(self, socket: Any) -> int:
        closed = asyncio.create_task(socket.wait_closed())
        leaving = asyncio.create_task(self._leave.wait())
        try:
            await asyncio.wait([closed, leaving], return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                socket.transport.abort()
        finally:
            closed.cancel()
            leaving.cancel()
            await asyncio.gather(closed, leaving, return_exceptions=True)
        code = 0 if leaving.done() else int(socket.close_code or 0)
        self.closes.append(code)
        return code


@asynccontextmanager
async def following(*followers: Follower) -> AsyncGenerator[None]:
    """Let `followers` follow for the length of the block."""
    running = [asyncio.create_task(one.follow()) for one in followers]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        for how in ended:
            if not isinstance(how, asyncio.CancelledError):
                raise AssertionError(f"a follower gave up: {how!r}")


class Readiness:
    """What `/readyz` answered over time, each change once."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}readyz"
        self.told: list[bool] = []

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            ready = await asyncio.to_thread(self._ask)
            if not self.told or self.told[-1] != ready:
                self.told.append(ready)
            await asyncio.sleep(PAUSE)

    def _ask(self) -> bool:
        try:
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            with error:
                return False
        except OSError:
            return False
