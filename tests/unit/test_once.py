"""Sending once for a key, whatever happens to who sends."""

import asyncio

import pytest

from herald_monitor.memory import MemoryStore
from herald_server import once as once_
from herald_server.once import BeingStarted, id_for, once

pytestmark = pytest.mark.anyio


def test_ids_are_made_of_caller_type_and_key() -> None:
    ids = {
        id_for(*given)
        for given in (("me", "a", "k"), ("you", "a", "k"), ("me", "b", "k"))
    }
    assert len(ids) == 3
    assert id_for("me", "a", "k") in ids


async def test_who_comes_second_waits_for_the_first() -> None:
    store, sent = MemoryStore(), asyncio.Event()

    async def slowly() -> None:
        await sent.wait()

    async def never() -> None:
        raise AssertionError("sent twice")

    first = asyncio.create_task(once(store, "t", slowly))
    await asyncio.sleep(0)
    second = asyncio.create_task(once(store, "t", never))
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
        await once(store, "t", send)
    assert await once(store, "t", send)
    assert tries == 2


async def test_who_died_while_sending_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once_, "SENDING_FOR", 0.1)
    store = MemoryStore()
    assert await store.put_note(once_.KIND, "t", b"dead", 0.1, new=True)

    async def send() -> None:
        pass

    assert await once(store, "t", send)


async def test_who_sends_for_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once_, "PATIENCE", 0.05)
    store = MemoryStore()
    await store.put_note(once_.KIND, "t", b"slow", 60, new=True)

    async def send() -> None:
        raise AssertionError("sent twice")

    with pytest.raises(BeingStarted, match="ask again in"):
        await once(store, "t", send)
