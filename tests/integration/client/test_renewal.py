"""Tokens that end are renewed by both clients, and subscriptions go on."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from herald_client import AccessRefused, Herald, Put, Reset, SyncHerald
from tests.support.clients.watch_recorder import following
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server
from tests.support.wait import wait_until, wait_until_async

pytestmark = pytest.mark.anyio

TTL_S = 2.0


class Renewals:
    """Mints a token each time that it is called."""

    def __init__(self, server: LiveServer) -> None:
        self._owner = SyncHerald(server.url, TOKEN)
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return self.mint()

    def mint(self) -> str:
        """Return a token that ends soon."""
        return self._owner.mint(ttl=TTL_S).token

    async def call_async(self) -> str:
        """Do the same without blocking the loop."""
        return await asyncio.to_thread(self)

    def close(self) -> None:
        self._owner.close()


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server for tests that do not count tasks."""
    with live_server() as made:
        yield made


@pytest.fixture
def renewals(server: LiveServer) -> Iterator[Renewals]:
    """New tokens of that server."""
    made = Renewals(server)
    yield made
    made.close()


async def test_a_watch_gets_a_new_token_before_the_old_one_ends(
    server: LiveServer, renewals: Renewals
) -> None:
    server.tell("received", "a", name="watched")
    token = await asyncio.to_thread(renewals.mint)
    async with (
        Herald(server.url, token, renew=renewals.call_async) as herald,
        following(herald.watch(name="watched")) as told,
    ):
        await wait_until_async(lambda: renewals.count >= 3)
        server.tell("succeeded", "a", result="1")
        await wait_until_async(lambda: told.states == {"a": "SUCCESS"})
    assert told.resets == []


async def test_a_refused_token_is_renewed_for_requests_and_watches(
    server: LiveServer, renewals: Renewals
) -> None:
    async with Herald(server.url, "ended", renew=renewals) as herald:
        await herald.stats()
    async with Herald(server.url, "ended", renew=renewals) as herald:
        server.tell("received", "b", name="refused")
        change = await anext(aiter(herald.watch(name="refused")))
        assert isinstance(change, Put)
    assert renewals.count == 2


async def test_a_new_token_that_is_refused_too_is_an_error(server: LiveServer) -> None:
    asked: list[str] = []

    def renew() -> str:
        asked.append("wrong")
        return asked[-1]

    async with Herald(server.url, "ended", renew=renew) as herald:
        with pytest.raises(AccessRefused):
            await herald.stats()
        with pytest.raises(AccessRefused):
            await anext(aiter(herald.watch()))
    assert len(asked) <= 2


async def test_several_requests_get_one_new_token(
    server: LiveServer, renewals: Renewals
) -> None:
    async with Herald(server.url, "ended", renew=renewals.call_async) as herald:
        await asyncio.gather(*(herald.stats() for _ in range(5)))
    assert renewals.count == 1


async def test_what_the_function_raises_reaches_the_caller(server: LiveServer) -> None:
    def fail() -> str:
        raise LookupError("no session")

    async with Herald(server.url, "ended", renew=fail) as herald:
        with pytest.raises(LookupError, match="no session"):
            await herald.stats()


def test_the_client_without_asyncio_renews_too(
    server: LiveServer, renewals: Renewals
) -> None:
    server.tell("received", "c", name="sync")
    told: list[object] = []
    with SyncHerald(server.url, renewals.mint(), renew=renewals) as herald:
        watch = herald.watch(name="sync")
        reader = threading.Thread(target=lambda: told.extend(watch))
        reader.start()
        wait_until(lambda: renewals.count >= 2, 30, "the token is renewed twice")
        herald.stats()
        server.tell("succeeded", "c", result="1")
        wait_until(lambda: len(told) >= 2, 30, "the change is told")
        watch.close()
        reader.join(30)
    assert not any(isinstance(one, Reset) for one in told)
