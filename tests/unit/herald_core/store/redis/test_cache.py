"""The bounds of the cache of records, whatever tasks a producer invents."""

from typing import Any, cast

from herald_core.model.changes import TASK
from herald_core.store.redis.cache import MAX_OVERFLOW_FACTOR, RecordCache


def test_the_oldest_records_go_beyond_the_bound() -> None:
    cache, record = RecordCache(10), cast(Any, object())
    for number in range(30):
        cache.put((TASK, f"t{number}"), record)
    kept = [number for number in range(30) if cache.get((TASK, f"t{number}"))]
    assert kept == list(range(20, 30))


def test_finished_tasks_have_a_bound_of_their_own() -> None:
    cache, record = RecordCache(10), cast(Any, object())
    cache.put((TASK, "active"), record)
    for number in range(1_000):
        cache.put((TASK, f"t{number}"), b"")
    assert len(cache._excess) == 10 // MAX_OVERFLOW_FACTOR  # pyright: ignore[reportPrivateUsage]
    assert cache.get((TASK, "active")) is record
