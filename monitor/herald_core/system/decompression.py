"""Compressed message bodies, unpacked only as far as they may be long."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from herald_core.errors import InvalidEvent

MAX_BYTES = 2 * 1024 * 1024
"""Bytes of an unpacked body: Celery sends at most some dozens of events together."""

MAX_LZMA_BYTES = 16 * 1024 * 1024
"""Bytes that LZMA may take for its dictionary, whose size the message chooses."""


class Decompressor(Protocol):
    """The common interface of `zlib`, `bz2` and `lzma` decompressors."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most `max_length` bytes of the decompressed `data`."""
        ...

    @property
    def eof(self) -> bool:
        """True if the end of the stream was reached."""
        ...


def _make_lzma_decompressor() -> Decompressor:
    return lzma.LZMADecompressor(memlimit=MAX_LZMA_BYTES)


DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    **dict.fromkeys(("zlib", "gzip", "application/x-gzip"), zlib.decompressobj),
    **dict.fromkeys(("bzip2", "bzip", "application/x-bz2"), bz2.BZ2Decompressor),
    **dict.fromkeys(("lzma", "xz", "application/x-lzma"), _make_lzma_decompressor),
}
"""By the names that kombu gives them (kombu/compression.py)."""


def decompress_bounded(body: bytes, name: object, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the unpacked `body`. Raises `InvalidEvent` if it is over `max_bytes`.

    `name` is the header `compression` of the message.
    """
    make = DECOMPRESSORS.get(name) if isinstance(name, str) else None
    if make is None:
        raise InvalidEvent(
            f"The body is compressed in a way that is not read: {name!r:.80}."
        )
    try:
        unpacker = make()
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        raise InvalidEvent(f"The body cannot be unpacked: {error}.") from error
    if len(unpacked) > max_bytes:
        raise InvalidEvent(f"The body is over {max_bytes} bytes once it is unpacked.")
    if not unpacker.eof:
        raise InvalidEvent("The body cannot be unpacked: it is cut off.")
    return unpacked
