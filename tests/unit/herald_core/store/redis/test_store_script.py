"""The script that stores a batch: how its arguments are encoded, what it writes."""

import msgspec
import pytest

from herald_core.model.events.event import Event
from herald_core.store.redis.encoding.record_codec import decode_header
from herald_core.store.redis.store import RedisStore
from herald_core.store.redis.store_script import encode_raw_array
from tests.support.servers.redis import PrivateValkey

NOW = 1_790_000_000.0

PREFIX = "{tens}"


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536, 100_000])
def test_an_array_of_bytes_is_one_of_texts(size: int) -> None:
    values = [b"x" * size, b"", b"change"]
    texts = msgspec.msgpack.decode(encode_raw_array(values), type=list[str])
    assert [text.encode() for text in texts] == values


def test_an_empty_array() -> None:
    assert msgspec.msgpack.decode(encode_raw_array([])) == []


def _make_event(number: int, kind: str) -> Event:
    at = NOW + number + (kind == "started")
    return Event(kind=kind, task_id=f"t{number}", at=at, host="w", pid=1, clock=int(at))


@pytest.mark.anyio
async def test_numbers_and_revs_are_written_across_tens_in_any_order(
    valkey: PrivateValkey,
) -> None:
    store = RedisStore(valkey.url, prefix=PREFIX)
    await store.open()
    try:
        await store.store([_make_event(n, "received") for n in range(125)], now=NOW)
        order = [124, 5, 17, 0, 100, 9, 10, 99, 1, 20, 11, 3]
        receipt = await store.store([_make_event(n, "started") for n in order], now=NOW)
        with valkey.client() as client:
            for rank, number in enumerate(order):
                stored = client.get(f"{PREFIX}:t2:t{number}")
                assert isinstance(stored, bytes)
                head = stored.partition(b"\n")[0]
                assert head.split(b" ")[1] == str(number).encode()
                assert decode_header(head).rev == f"{receipt.cursor}.{rank}"
    finally:
        await store.close()
