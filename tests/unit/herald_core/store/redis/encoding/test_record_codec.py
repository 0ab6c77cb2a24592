"""Records as bytes, and the numbers of tasks as bits."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.errors import StoreError
from herald_core.model.tasks.task import Task
from herald_core.store.redis.encoding.record_codec import (
    COMPRESS_ABOVE_BYTES,
    RecordHeader,
    decode_record,
    encode_record,
)
from tests.support.model.events import known, say, tasks

decoder = msgspec.msgpack.Decoder(Task)
HEAD = RecordHeader("1-2.0+3", 4113, "99", "100")


@settings(max_examples=50)
@given(tasks, st.booleans())
def test_a_task_comes_back_as_it_was(task: Task, small: bool) -> None:
    stored = " ".join(map(str, HEAD)).encode() + b"\n" + encode_record(task, small)
    assert decode_record(stored, decoder) == (HEAD, task)


def test_a_long_record_is_packed_and_a_short_one_if_it_is_wanted() -> None:
    short = known([say("received", 1, args="x" * 10)])
    long = known([say("received", 1, args="x" * COMPRESS_ABOVE_BYTES)])
    assert (encode_record(short)[:1], encode_record(short, small=True)[:1]) == (
        b"m",
        b"s",
    )
    assert encode_record(long)[:1] == b"s"
    assert len(encode_record(short, small=True)) < len(encode_record(short))


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"1-2.0 9",
        b"1-2.0 9\nm\x90",
        b"1-2.0\nm\x90",
        b"1-2.0 9 9\nm\x90",
        b"1-2.0 - 9 0\n",
        b"1-2.0 - 9 0\nx...",
        b"1-2.0 - 9 0\nm",
        b"1-2.0 - 9 0\nm\xc1",
        b"1-2.0 - 9 0\nm\x01",
        b"1-2.0 - 9 0\nzzz",
        b"1-2.0 - 9 0\nsss",
        b"\xff - 9 0\nmmm",
    ],
)
def test_a_record_of_another_making_is_refused_with_a_sentence(stored: bytes) -> None:
    with pytest.raises(StoreError, match="not of this version of Herald"):
        decode_record(stored, decoder)
