"""What a monitor and its writing processes say to each other, over a socket.

A frame is its length (4 bytes, big-endian) and MessagePack: at first `Hello`, then
jobs in one direction and receipts in the other, one for each and in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from herald_monitor.errors import NotRead, StoreError, StoreUnreachable
from herald_monitor.model.cursor import START
from herald_monitor.model.events import Event
from herald_monitor.model.vector import parse_any_cursor
from herald_monitor.store import Receipt
from herald_monitor.unread import Json, Told, joined

HEAD = 4
MOST = 1 << 30
"""Bytes of a frame: more is none of ours."""


class Hello(msgspec.Struct, array_like=True):
    """The monitor's settings, as JSON."""

    settings: str


class Carried(Event, frozen=True, kw_only=True, gc=False, array_like=True):
    """An event as it travels: its values alone, which takes half as long."""


class Job(msgspec.Struct, array_like=True):
    """Events to be stored; `unread` are arrays of JSON, and when each was heard."""

    now: float
    events: list[Carried]
    unread: list[tuple[float, bytes]]


class Done(msgspec.Struct, array_like=True):
    """What became of a job. `error` says why nothing is stored for sure."""

    cursor: str = ""
    changes: int = 0
    error: str = ""
    unreachable: bool = False
    unread: bool = False


_encode = msgspec.msgpack.Encoder().encode
read_hello = msgspec.msgpack.Decoder(Hello).decode
read_job = msgspec.msgpack.Decoder(Job).decode
read_done = msgspec.msgpack.Decoder(Done).decode


def frame(told: Hello | Done) -> bytes:
    """Return a frame of it."""
    return _framed(told)


class _Share:
    """What one process is given of some events."""

    def __init__(self) -> None:
        self.carried: list[tuple[object, ...]] = []
        self.unread: list[tuple[float, bytes]] = []
        self.parts: list[Json] = []
        """Of what is not read yet, what was heard at the same time."""

    def gather(self, heard: float) -> None:
        """Let what was `heard` at a time be one array."""
        if self.parts:
            self.unread.append((heard, joined(self.parts)))
            self.parts = []

    def job(self, now: float) -> bytes:
        """Return the frame of its `Job`; nothing if there is nothing to do."""
        if not self.carried and not self.unread:
            return b""
        return _framed((now, self.carried, self.unread))


def jobs(events: Sequence[Told], now: float, number: int) -> list[bytes]:
    """Return frames of `Job`s for so many processes: one task's events are in one.

    Nothing for whom nothing is to be done.
    """
    shares = [_Share() for _ in range(number)]
    heard, parts = 0.0, [share.parts for share in shares]
    for event in events:
        if isinstance(event, Event):
            # What a `Spoken` holds besides stands last: the decoder leaves it out.
            share = shares[hash(event.task_id) % number]
            share.carried.append(msgspec.structs.astuple(event))
            continue
        if event.heard != heard:
            for share in shares:
                share.gather(heard)
            heard, parts = event.heard, [share.parts for share in shares]
        parts[hash(event.task_id) % number].append(event.json)
    for share in shares:
        share.gather(heard)
    return [share.job(now) for share in shares]


def _framed(told: Any) -> bytes:
    body = _encode(told)
    return len(body).to_bytes(HEAD, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Return what is in the next frame; None if the other side is gone."""
    try:
        size = int.from_bytes(await reader.readexactly(HEAD), "big")
        return await reader.readexactly(size) if size <= MOST else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def done(receipt: Receipt) -> Done:
    """Return how a receipt travels."""
    cursor = "" if receipt.cursor == START else str(receipt.cursor)
    return Done(cursor, receipt.changes)


def failed(error: Exception) -> Done:
    """Return how an error of the store travels."""
    said = str(error) if isinstance(error, StoreError) else repr(error)
    return Done(
        error=said or repr(error),
        unreachable=isinstance(error, StoreUnreachable),
        unread=isinstance(error, NotRead),
    )


def receipt(told: Done) -> Receipt:
    """Return the receipt in it. Raises the error that was said instead."""
    if told.unread:
        raise NotRead(told.error)
    if told.error:
        raise (StoreUnreachable if told.unreachable else StoreError)(told.error)
    cursor = parse_any_cursor(told.cursor) if told.cursor else START
    return Receipt(cursor, told.changes)
