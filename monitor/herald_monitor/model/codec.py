"""Tasks, workers and changes ⇄ bytes in the store; the one JSON encoder.

A record is `REV SP FIRST LF FLAG BODY`: the change that made it, when it was
first heard of, whether BODY is packed small, and the record in MessagePack.
Putting `REV` first lets a script compare and set without reading the body.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from herald_monitor.errors import StoreError

PACK_ABOVE = 1_024
"""Bytes above which a record is compressed: long arguments, results, tracebacks."""

_packer = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()

T = TypeVar("T")


def pack(record: object) -> bytes:
    """Return `FLAG BODY` of `record`."""
    body = _packer.encode(record)
    if len(body) > PACK_ABOVE:
        return b"z" + zlib.compress(body, 1)
    return b"m" + body


def unpack(stored: bytes, decoder: msgspec.msgpack.Decoder[T]) -> tuple[str, str, T]:
    """Return the rev, the `FIRST` and the record of a stored one.

    Raises `StoreError` if another version of Herald stored it.
    """
    head, lf, rest = stored.partition(b"\n")
    rev, space, first = head.decode("ascii", "replace").partition(" ")
    try:
        if lf and space:
            if rest[:1] == b"m":
                return rev, first, decoder.decode(memoryview(rest)[1:])
            if rest[:1] == b"z":
                return rev, first, decoder.decode(zlib.decompress(rest[1:]))
    except (msgspec.MsgspecError, zlib.error):
        pass
    raise StoreError(
        "a record in the store is not of this version of Herald; "
        "give this one its own HERALD_STORE_URL (another database number)"
    )


def to_json(shown: object) -> bytes:
    """Return anything that is shown as JSON."""
    return _json.encode(shown)


def with_rev(image: bytes, rev: str) -> bytes:
    """Return the JSON object `image` with its `rev`.

    The rev is known only once the change is in the log, where its JSON lies already.
    """
    return b'%b,"rev":"%b"}' % (image[:-1], rev.encode())
