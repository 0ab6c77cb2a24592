"""Compressed bodies: read as kombu writes them, and never unpacked without bound."""

import bz2
import lzma
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from kombu.compression import compress, encoders

from herald_core.errors import InvalidEvent
from herald_core.system.decompression import MAX_BYTES, decompress_bounded

BODY = b'{"type": "task-sent"}'
BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "lzma": lzma.compress,
}


@pytest.mark.parametrize("name", [n for n in encoders() if "brotli" not in n])
def test_what_kombu_compresses_is_read(name: str) -> None:
    if "zstd" in name:
        pytest.skip("Celery's workers have no zstandard unless they install it")
    packed, said = compress(BODY, name)
    assert decompress_bounded(packed, said) == BODY


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_body_cannot_take_much_memory(name: str) -> None:
    bomb = BOMBS[name](b"a" * 100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvent, match="over 2097152 bytes"):
            decompress_bounded(bomb, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MAX_BYTES


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_broken_or_cut_off_is_refused(name: str) -> None:
    whole = BOMBS[name](BODY * 100)
    for broken in (b"", b"no such thing", whole[:-4], whole[: len(whole) // 2]):
        with pytest.raises(InvalidEvent, match="cannot be unpacked"):
            decompress_bounded(broken, name)


@pytest.mark.parametrize("name", ["snappy", "", 5, None, "x" * 10_000])
def test_another_compression_is_refused_with_a_short_sentence(name: object) -> None:
    with pytest.raises(InvalidEvent, match="compressed in a way") as refused:
        decompress_bounded(b"", name)
    assert len(str(refused.value)) < 200
