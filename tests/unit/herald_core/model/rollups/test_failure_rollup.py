"""Minutes of failures by cause, added up."""

from herald_core.model.rollups.failure_rollup import (
    FailureRollup,
    merge_failure_rollups,
)


def test_minutes_add_up_at_the_first_of_them() -> None:
    minutes = [
        FailureRollup(120, {("a", "x"): (1, 0), ("b", ""): (2, 2)}),
        FailureRollup(60, {("a", "x"): (3, 1)}),
    ]
    whole = FailureRollup(60, {("a", "x"): (4, 1), ("b", ""): (2, 2)})
    assert merge_failure_rollups(minutes) == whole
    assert merge_failure_rollups([]) == FailureRollup(0)
