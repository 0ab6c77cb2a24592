"""Python looks for cycles so rarely that what cannot be read must leave none behind."""

import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from kombu.serialization import loads

from herald_monitor.backend_link import Payloads
from herald_monitor.errors import BadEvent
from herald_monitor.wire import JSON, inside, read_body, unwrap

DEEP = b"[" * 2_000


def cycles_left_by(act: Callable[[], object]) -> int:
    """Return how many objects are garbage in a cycle once `act` has failed."""
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(BadEvent):
            act()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("body", "kind", "headers"),
    [
        (DEEP, JSON, {}),
        (b"\xff\x00", JSON, {}),
        (b"{", JSON, {}),
        (b"a: [", "application/x-yaml", {}),
        (b"x", "application/x-python-serialize", {}),
        (b"x", JSON, {"compression": "zlib"}),
        (b"x", JSON, {"compression": "bzip2"}),
    ],
)
def test_a_body_that_cannot_be_read_leaves_no_cycle(
    body: bytes, kind: str, headers: dict[str, object]
) -> None:
    accept = {JSON, "application/x-yaml"}
    assert not cycles_left_by(lambda: read_body(body, kind, "utf-8", headers, accept))


@pytest.mark.parametrize("published", [b"{", DEEP, b'{"body": "x"}'])
def test_an_envelope_that_cannot_be_read_leaves_no_cycle(published: bytes) -> None:
    def read() -> None:
        try:
            unwrap(published, {JSON})
        finally:
            inside(published)

    assert not cycles_left_by(read)


@pytest.mark.parametrize("payload", [DEEP, b"\xff", b"{"])
def test_a_result_that_cannot_be_read_leaves_no_cycle(payload: bytes) -> None:
    def decode(stored: bytes) -> Any:
        return loads(stored, JSON, "utf-8")

    payloads = Payloads(SimpleNamespace(content_type=JSON, decode=decode))
    assert not cycles_left_by(lambda: payloads.read(payload))


async def fails_while_another_waits() -> str:
    """Read what cannot be read, in a coroutine that handles another error."""
    try:
        raise KeyError("the first")
    except KeyError:
        with pytest.raises(BadEvent):
            read_body(DEEP, JSON, "utf-8", {}, {JSON})
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
