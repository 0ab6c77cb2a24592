"""A broker or a store that answers nothing and refuses nothing: who watches is told.

Told is at every door, with the reason, and its end as well; in the long form of the
tests within six seconds.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import NamedTuple

import pytest
from celery import Celery

from herald_core.store.redis.store import RedisStore
from herald_server.push.freshness import BROKER_SILENT
from tests.support.celery.worker import AppFactory
from tests.support.clients.event_stream import Stream, streaming
from tests.support.clients.http import asking
from tests.support.clients.websocket import Listener, connected
from tests.support.herald.reconciling_monitor import truth
from tests.support.herald.server import Server, serving
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.celery, pytest.mark.anyio]
ProxyFactory = Callable[[str], Proxy]
Freeze = Callable[[], AbstractContextManager[None]]

BUSY_S = 30.0
"""Seconds of a wait on a machine that does much else."""

ways = pytest.mark.parametrize(
    ("way", "within"),
    [
        ("frozen", BUSY_S),
        ("black hole", BUSY_S),
        pytest.param("frozen", 6.0, marks=pytest.mark.soak),
        pytest.param("black hole", 6.0, marks=pytest.mark.soak),
    ],
)
"""How it is silenced, and in how many seconds who watches must be told."""


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """The store, apart from the broker."""
    with private_valkey() as server:
        yield server


class Watchers(NamedTuple):
    """Clients of a server: by WebSocket, and by event stream."""

    server: Server
    socket: Listener
    stream: Stream

    def list_problems(self) -> set[str]:
        """Return what each was told last: an error, or nothing."""
        told = [self.socket.of("status"), self.stream.of("status")]
        return {
            str(statuses[-1].get("problem", "")) if statuses[-1]["stale"] else ""
            for statuses in told
        }

    async def are_told(self, problem: str, within: float = BUSY_S) -> float:
        """Wait until both are told that alone; return after how many seconds."""
        began = time.monotonic()
        await wait_until_async(
            self.list_problems,
            within,
            f"both are told {problem!r}",
            accept=lambda told: _are_all(told, problem),
        )
        return time.monotonic() - began


def _are_all(told: set[str], problem: str) -> bool:
    """Return True if all begin with `problem`, or nothing is said."""
    return all(one.startswith(problem) and bool(one) == bool(problem) for one in told)


@asynccontextmanager
async def watching(app: Celery, store_url: str) -> AsyncGenerator[Watchers]:
    """Run a monitor and a server as they are shipped, and watch."""
    monitors, servers = RedisStore(store_url), RedisStore(store_url)
    await monitors.open()
    try:
        async with (
            truth(app, monitors),
            serving(store_url, store=servers) as server,
            connected(server) as socket,
            streaming(server.url) as stream,
        ):
            journal = await socket.subscribe()
            await socket.heard("status")
            await stream.heard("status")
            # What they read from the store is read: later reads would wait for it.
            await wait_until_async(lambda: stream.last_id)
            await wait_until_async(lambda: journal.cursor)
            watchers = Watchers(server, socket, stream)
            await watchers.are_told("")
            yield watchers
    finally:
        await monitors.close()


@ways
async def test_a_silent_broker_is_told_and_its_end(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    proxy: ProxyFactory,
    way: str,
    within: float,
) -> None:
    line = proxy(valkey.url)
    silence: Freeze = valkey.freeze if way == "frozen" else line.swallow
    async with watching(project_app(line.url), keeper.url) as watchers:
        with silence():
            await watchers.are_told(BROKER_SILENT, within)
            async with asking(watchers.server) as ask:
                answer = (await ask.get("/api/v1/tasks")).json()
            assert answer["stale"]["reason"] == BROKER_SILENT
        await watchers.are_told("")


@ways
async def test_a_silent_store_is_told_and_its_end(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    proxy: ProxyFactory,
    way: str,
    within: float,
) -> None:
    line = proxy(keeper.url)
    silence: Freeze = keeper.freeze if way == "frozen" else line.swallow
    async with watching(project_app(valkey.url), line.url) as watchers:
        with silence():
            await watchers.are_told("the store ", within)
        await watchers.are_told("")
