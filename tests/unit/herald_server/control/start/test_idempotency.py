"""Sending once for a key, whatever happens to who sends."""

import asyncio

import pytest

from herald_core.store.memory.store import MemoryStore
from herald_server.control.start import idempotency as once_
from herald_server.control.start.idempotency import (
    StartInProgress,
    make_idempotent_id,
    run_once,
)

pytestmark = pytest.mark.anyio


def test_ids_are_made_of_caller_type_and_key() -> None:
    ids = {
        make_idempotent_id(*given)
        for given in (("me", "a", "k"), ("you", "a", "k"), ("me", "b", "k"))
    }
    assert len(ids) == 3
    assert make_idempotent_id("me", "a", "k") in ids


async def test_who_comes_second_waits_for_the_first() -> None:
    store, sent = MemoryStore(), asyncio.Event()

    async def slowly() -> None:
        await sent.wait()

    async def never() -> None:
        raise AssertionError("sent twice")

    first = asyncio.create_task(run_once(store, "t", slowly))
    await asyncio.sleep(0)
    second = asyncio.create_task(run_once(store, "t", never))
    await asyncio.sleep(0.01)
    assert not second.done()
    sent.set()
    assert (await first, await second) == (True, False)


async def test_a_send_that_fails_leaves_the_key_free() -> None:
    store, tries = MemoryStore(), 0

    async def send() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await run_once(store, "t", send)
    assert await run_once(store, "t", send)
    assert tries == 2


async def test_who_died_while_sending_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once_, "SENDING_TTL_S", 0.1)
    store = MemoryStore()
    assert await store.put_item(once_.KEY_KIND, "t", b"dead", 0.1, new=True)

    async def send() -> None:
        pass

    assert await run_once(store, "t", send)


async def test_who_sends_for_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once_, "TIMEOUT_S", 0.05)
    store = MemoryStore()
    await store.put_item(once_.KEY_KIND, "t", b"slow", 60, new=True)

    async def send() -> None:
        raise AssertionError("sent twice")

    with pytest.raises(StartInProgress, match="ask again in"):
        await run_once(store, "t", send)
