"""Python looks for cycles so rarely that what cannot be read must leave none behind."""

import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from kombu.serialization import loads

from herald_core.errors import InvalidEvent
from herald_monitor.celery_client.backend.connection import MetaDecoder
from herald_monitor.ingest.consumers.envelope import (
    JSON_TYPE,
    decode_envelope,
    decode_message_body,
    sample_envelope,
)

DEEP = b"[" * 2_000


def cycles_left_by(act: Callable[[], object]) -> int:
    """Return how many objects are garbage in a cycle once `act` has failed."""
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(InvalidEvent):
            act()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("body", "kind", "headers"),
    [
        (DEEP, JSON_TYPE, {}),
        (b"\xff\x00", JSON_TYPE, {}),
        (b"{", JSON_TYPE, {}),
        (b"a: [", "application/x-yaml", {}),
        (b"x", "application/x-python-serialize", {}),
        (b"x", JSON_TYPE, {"compression": "zlib"}),
        (b"x", JSON_TYPE, {"compression": "bzip2"}),
    ],
)
def test_a_body_that_cannot_be_read_leaves_no_cycle(
    body: bytes, kind: str, headers: dict[str, object]
) -> None:
    accept = {JSON_TYPE, "application/x-yaml"}
    assert not cycles_left_by(
        lambda: decode_message_body(body, kind, "utf-8", headers, accept)
    )


@pytest.mark.parametrize("published", [b"{", DEEP, b'{"body": "x"}'])
def test_an_envelope_that_cannot_be_read_leaves_no_cycle(published: bytes) -> None:
    def read() -> None:
        try:
            decode_envelope(published, {JSON_TYPE})
        finally:
            sample_envelope(published)

    assert not cycles_left_by(read)


@pytest.mark.parametrize("payload", [DEEP, b"\xff", b"{"])
def test_a_result_that_cannot_be_read_leaves_no_cycle(payload: bytes) -> None:
    def decode(stored: bytes) -> Any:
        return loads(stored, JSON_TYPE, "utf-8")

    payloads = MetaDecoder(SimpleNamespace(content_type=JSON_TYPE, decode=decode))
    assert not cycles_left_by(lambda: payloads.decode(payload))


async def fails_while_another_waits() -> str:
    """Read what cannot be read, in a coroutine that handles another error."""
    try:
        raise KeyError("the first")
    except KeyError:
        with pytest.raises(InvalidEvent):
            decode_message_body(DEEP, JSON_TYPE, "utf-8", {}, {JSON_TYPE})
        await anyio.sleep(0)
    return "went on"


@pytest.mark.anyio
async def test_who_handles_another_error_meanwhile_goes_on() -> None:
    async def outer() -> str:
        try:
            raise KeyError("the outermost")
        except KeyError:
            return await fails_while_another_waits()

    assert await outer() == "went on"
