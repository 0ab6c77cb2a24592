"""What a cancel came to, in words, by what was known before and after."""

from typing import Any

import pytest

from herald_monitor.model.shape import TaskImage
from herald_server.cancelling import outcome_of


def task(state: str, **fields: Any) -> TaskImage:
    return TaskImage(id="t", state=state, **fields)


WAITS = task("PENDING")
RUNS = task("STARTED", started_at="2026-01-31T12:00:00.000Z")
REVOKED = task("REVOKED", final=True, finished_at="2026-01-31T12:00:01.000Z")
DONE = task("SUCCESS", final=True)


@pytest.mark.parametrize(
    ("before", "after", "answered", "outcome", "part"),
    [
        (DONE, None, 0, "too_late", "success already, nothing was cancelled"),
        (WAITS, REVOKED, 1, "revoked", "revoked before it started"),
        (RUNS, REVOKED, 1, "terminated", "terminated while it ran"),
        (RUNS, DONE, 1, "too_late", "ended as success meanwhile"),
        (WAITS, WAITS, 1, "taken", "1 worker took note, but the task is still"),
        (WAITS, WAITS, 2, "taken", "2 workers took note"),
        (WAITS, WAITS, 0, "unanswered", "applied as soon as a worker answers"),
        (task("UNKNOWN"), None, 0, "unknown", "in case it exists"),
    ],
)
def test_outcomes(
    before: TaskImage, after: TaskImage | None, answered: int, outcome: str, part: str
) -> None:
    said = outcome_of(before, after, answered)
    assert (said.outcome, said.task_id) == (outcome, "t")
    assert part in said.message
    assert (said.canceled_at is not None) == (outcome in ("revoked", "terminated"))
