"""Times and durations as people write them."""

import pytest

from herald_core.model.queries.moments import parse_instant


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31 13:00:00+01:00", "20260131T120000Z"]
)
def test_a_time_with_its_offset_is_an_instant(text: str) -> None:
    assert parse_instant(text) == 1_769_860_800.0


@pytest.mark.parametrize(
    "given",
    [*("", "2026-01-31T12:00:00", "2026-01-31", "noon", "9999-12-31T25:00Z"), 5, None],
)
def test_a_time_without_an_offset_is_no_instant(given: object) -> None:
    assert parse_instant(given) is None
