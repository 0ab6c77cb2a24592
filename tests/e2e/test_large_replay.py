"""Who comes back after much was told is read a bounded part of the log."""

import pytest
from tests.servers import PrivateValkey
from tests.serving import connected, make_store, serving, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("size", "reset"), [(10, None), (8_000, "trimmed")])
async def test_too_many_bytes_of_changes_are_told_as_a_snapshot(
    module_valkey: PrivateValkey,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    reset: str | None,
) -> None:
    monkeypatch.setattr("herald_server.reading.REPLAY_BYTES", 100_000)
    store = make_store(module_valkey.url)
    async with serving(module_valkey.url, store=store) as first:
        await first.tell("received", "before")
        since = str(await store.end())
        for n in range(30):
            await first.tell("failed", f"t{n}", exception="x" * size)
    # Another process remembers nothing of it.
    async with (
        serving(module_valkey.url, store=store) as second,
        connected(second) as client,
    ):
        told = await client.subscribe("s", since=since)
        await until(lambda: len(told.items) >= 30)
        resets = [one.get("reset") for one in client.of("data")]
        assert resets[0] == reset
        assert {f"t{n}" for n in range(30)} <= {*told.items}
