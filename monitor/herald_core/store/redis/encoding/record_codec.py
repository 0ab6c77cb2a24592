"""The codec of stored records: records ⇄ bytes.

A record is `REV SP NUMBER SP FIRST SP DUE LF FLAG BODY`. `REV` is its latest change
(see `changes.to_public_rev`), `NUMBER` the number of a task (`-`: none). `FIRST` and
`DUE` are its first arrival and its expiry (ms; 0: never). `FLAG` is the compression of
`BODY`, the record in MessagePack. With `REV` first a script can compare and set without
decoding the body.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar, cast

import msgspec
import zstandard

from herald_core.errors import StoreError
from herald_core.store.index_terms import NO_NUMBER
from herald_core.store.redis.encoding.compression_dict import COMPRESSION_DICT

COMPRESS_ABOVE_BYTES = 512
"""Bytes above which a record is always compressed: long arguments, tracebacks."""

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Bytes that a record can have: more is no record."""

BATCH_BODY_BYTES = 96 * 1024
"""Bytes of records that are decompressed at once, and one record more: less than what
the allocator maps anew each time (128 KB)."""

HEADER_BYTES = 100
"""Bytes that what stands before a record fits in."""

encode_msgpack = msgspec.msgpack.Encoder().encode
_dictionary = zstandard.ZstdCompressionDict(COMPRESSION_DICT)

Record = TypeVar("Record")


class _Zstd(threading.local):
    """Compressor and decompressor; neither may be used by two threads at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(
            level=1, dict_data=_dictionary, write_checksum=False, write_dict_id=False
        ).compress
        decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary)
        self.decompressor = decompressor.decompress
        self.decompress_many = decompressor.multi_decompress_to_buffer


_zstd = _Zstd()


class RecordHeader(NamedTuple):
    """The header of a record. `rev` is complete, see `to_public_rev`."""

    rev: str
    number: int = NO_NUMBER
    first_seen_ms: str = "0"
    due_ms: str = "0"


def encode_record(record: object, small: bool = False) -> bytes:
    """Return `FLAG BODY` of `record`; `small` at the cost of 2 µs."""
    return compress_body(encode_msgpack(record), small)


def compress_body(body: bytes, small: bool = False) -> bytes:
    """Return `FLAG BODY` of a record as it was encoded; see `encode_record`."""
    if small or len(body) > COMPRESS_ABOVE_BYTES:
        return b"s" + _zstd.compressor(body)
    return b"m" + body


def decode_record(
    stored: bytes, decoder: msgspec.msgpack.Decoder[Record]
) -> tuple[RecordHeader, Record]:
    """Return the header of a stored record, and the record.

    Raises `StoreError` if another version of Herald stored it.
    """
    head, lf, rest = stored.partition(b"\n")
    try:
        if lf:
            return decode_header(head), decode_record_body(rest, decoder)
    except ValueError:
        pass
    raise _make_format_error()


def decode_record_body(
    stored: bytes, decoder: msgspec.msgpack.Decoder[Record]
) -> Record:
    """Return the record in `FLAG BODY`. Raises `StoreError` as `decode_record` does."""
    flag, body = stored[:1], memoryview(stored)[1:]
    try:
        if flag == b"m":
            return decoder.decode(body)
        if flag == b"s":
            return decoder.decode(
                _zstd.decompressor(body, max_output_size=MAX_RECORD_BYTES)
            )
    except (msgspec.MsgspecError, zstandard.ZstdError):
        pass
    raise _make_format_error()


def decompress_bodies(records: Sequence[bytes]) -> Iterator[Sequence[memoryview]]:
    """Yield the decompressed bodies of stored records, in order.

    About `BATCH_BODY_BYTES` at a time. Raises `StoreError` as `decode_record` does.
    """
    frames = [stored[stored.find(b"\n") + 1 :] for stored in records]
    try:
        ends = list(accumulate(map(_read_size, frames)))
        begin = 0
        while begin < len(frames):
            limit = BATCH_BODY_BYTES + (ends[begin - 1] if begin else 0)
            end = bisect_left(ends, limit, begin) + 1
            yield _decompress_frames(frames[begin:end])
            begin = end
    except zstandard.ZstdError:
        raise _make_format_error() from None


def _read_size(frame: bytes) -> int:
    """Return the number of bytes of the body in `frame`, a `FLAG BODY`."""
    size = len(frame)
    if frame[:1] == b"s":
        size = zstandard.frame_content_size(frame[1:])
    if not 0 <= size <= MAX_RECORD_BYTES:
        raise _make_format_error()
    return size


def _decompress_frames(frames: Sequence[bytes]) -> Sequence[memoryview]:
    """Return the bodies of records as `FLAG BODY`."""
    packed: list[bytes | bytearray | memoryview] = [
        frame[1:] for frame in frames if frame[:1] == b"s"
    ]
    many = _zstd.decompress_many(packed) if packed else ()
    # Segments of one buffer: its stub does not declare that they are buffers.
    unpacked = iter(cast("Sequence[memoryview]", many))
    if len(packed) == len(frames):
        return list(unpacked)
    return [
        next(unpacked) if frame[:1] == b"s" else memoryview(frame)[1:]
        for frame in frames
    ]


def _make_format_error() -> StoreError:
    return StoreError(
        "a record in the store is not of this version of Herald; "
        "give this one its own HERALD_STORE_URL (another database number)"
    )


def decode_header(head: bytes) -> RecordHeader:
    """Return a head as it is stored. Raises `ValueError`."""
    words = head.decode("ascii").split(" ")
    if len(words) != len(RecordHeader._fields):
        raise ValueError("no head of a record")
    rev, number, first, due = words
    return RecordHeader(rev, NO_NUMBER if number == "-" else int(number), first, due)


def read_number(stored: bytes) -> int:
    """Return the number of the task whose record is `stored`.

    Raises `StoreError` as `decode_record` does.
    """
    try:
        return decode_header(stored.partition(b"\n")[0]).number
    except ValueError:
        raise _make_format_error() from None
