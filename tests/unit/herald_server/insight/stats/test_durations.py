"""The measured runtimes of many names."""

import pytest

from herald_core.store.memory.store import MemoryStore
from herald_server.insight.stats import durations
from herald_server.insight.stats.durations import RuntimeEstimator

pytestmark = pytest.mark.anyio


async def test_no_more_names_are_kept_than_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durations, "MAX_NAMES", 5)
    estimator = RuntimeEstimator(MemoryStore())
    for number in range(40):
        assert await estimator.measure_name(f"invented.{number}") is None
        assert len(estimator._cache) <= 5  # pyright: ignore[reportPrivateUsage]
