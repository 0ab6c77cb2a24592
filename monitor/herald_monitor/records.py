"""Stored records ⇄ bytes.

A record is `REV SP NUMBER SP FIRST SP DUE LF FLAG BODY`: the change that made it
(see `changes.shown_rev`), the number of a task (`-`: it is none), when it was first
heard of and when it runs out (ms; 0: never by itself), how BODY is packed, and the
record in MessagePack. Putting `REV` first lets a script compare and set without
reading the body.
"""

from __future__ import annotations

import threading
import zlib
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from herald_monitor.errors import StoreError
from herald_monitor.model.numbers import NONE
from herald_monitor.vocabulary import VOCABULARY

PACK_ABOVE = 512
"""Bytes above which a record is always compressed: long arguments, tracebacks."""

MOST = 64 * 1024 * 1024
"""Bytes that a record can have: more is no record."""

HEAD = 100
"""Bytes that what stands before a record fits in."""

encode = msgspec.msgpack.Encoder().encode
_vocabulary = zstandard.ZstdCompressionDict(VOCABULARY)

T = TypeVar("T")


class _Press(threading.local):
    """Compressor and decompressor; neither may be used by two threads at once."""

    def __init__(self) -> None:
        self.zip = zstandard.ZstdCompressor(
            level=1, dict_data=_vocabulary, write_checksum=False, write_dict_id=False
        ).compress
        self.unzip = zstandard.ZstdDecompressor(dict_data=_vocabulary).decompress


_press = _Press()


class Head(NamedTuple):
    """What stands before a record. `rev` is whole, see `shown_rev`."""

    rev: str
    number: int = NONE
    first: str = "0"
    due: str = "0"


def pack(record: object, small: bool = False) -> bytes:
    """Return `FLAG BODY` of `record`; `small` at the cost of 2 µs."""
    return press(encode(record), small)


def press(body: bytes, small: bool = False) -> bytes:
    """Return `FLAG BODY` of a record as it was encoded; see `pack`."""
    if small or len(body) > PACK_ABOVE:
        return b"s" + _press.zip(body)
    return b"m" + body


def unpack(stored: bytes, decoder: msgspec.msgpack.Decoder[T]) -> tuple[Head, T]:
    """Return what stands before a stored record, and the record.

    Raises `StoreError` if another version of Herald stored it.
    """
    head, lf, rest = stored.partition(b"\n")
    try:
        if lf:
            return read_head(head), unpack_body(rest, decoder)
    except ValueError:
        pass
    raise _foreign()


def unpack_body(stored: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Return the record in `FLAG BODY`. Raises `StoreError` as `unpack` does."""
    flag, body = stored[:1], memoryview(stored)[1:]
    try:
        if flag == b"m":
            return decoder.decode(body)
        if flag == b"s":
            return decoder.decode(_press.unzip(body, max_output_size=MOST))
        if flag == b"z":  # as long records once were
            return decoder.decode(zlib.decompressobj().decompress(body, MOST))
    except (msgspec.MsgspecError, zstandard.ZstdError, zlib.error):
        pass
    raise _foreign()


def _foreign() -> StoreError:
    return StoreError(
        "a record in the store is not of this version of Herald; "
        "give this one its own HERALD_STORE_URL (another database number)"
    )


def read_head(head: bytes) -> Head:
    """Return a head as it is stored. Raises `ValueError`."""
    words = head.decode("ascii").split(" ")
    if len(words) == 2:  # as it once was
        return Head(words[0], NONE, words[1])
    if len(words) != len(Head._fields):
        raise ValueError("no head of a record")
    rev, number, first, due = words
    return Head(rev, NONE if number == "-" else int(number), first, due)
