"""What a cancel came to, in words, by the task before and after and by the answers."""

from typing import Any

import pytest

from herald_core.model.tasks.views import TaskView
from herald_server.control.cancel.canceller import is_cancel_done
from herald_server.control.cancel.outcomes import (
    RevokeAnswers,
    decide_outcome,
    parse_revoke_answers,
)


def task(state: str, **fields: Any) -> TaskView:
    return TaskView(id="t", state=state, **fields)


WAITS = task("PENDING")
HELD = task("RECEIVED", worker="w1@h")
RUNS = task("STARTED", worker="w1@h", started_at="2026-01-31T12:00:00.000Z")
REVOKED = task("REVOKED", final=True, finished_at="2026-01-31T12:00:01.000Z")
DONE = task("SUCCESS", final=True)

NOBODY = RevokeAnswers()
ONE = RevokeAnswers(answered=frozenset({"w1@h"}))
OTHER = RevokeAnswers(answered=frozenset({"w2@h"}))
TWO = RevokeAnswers(answered=frozenset({"w1@h", "w2@h"}))
STOPS = RevokeAnswers(frozenset({"w1@h"}), confirmed={"t": "w1@h"})
CANNOT = RevokeAnswers(frozenset({"w1@h"}), errors={"w1@h": "NotImplementedError()"})
AWAY = RevokeAnswers(unsent="the broker at redis://h cannot be reached (refused)")


@pytest.mark.parametrize(
    ("before", "after", "told", "outcome", "part"),
    [
        (DONE, None, NOBODY, "too_late", "success already, nothing was cancelled"),
        (WAITS, REVOKED, ONE, "revoked", "revoked before it started"),
        (RUNS, REVOKED, ONE, "terminated", "terminated while it ran"),
        (RUNS, DONE, ONE, "too_late", "ended as success meanwhile"),
        (RUNS, DONE, STOPS, "too_late", "ended as success meanwhile"),
        (WAITS, WAITS, ONE, "taken", "1 worker took note, but the task is still"),
        (WAITS, WAITS, TWO, "taken", "2 workers took note"),
        (WAITS, WAITS, NOBODY, "unanswered", "applied as soon as a worker answers"),
        (RUNS, RUNS, STOPS, "taken", "worker w1@h confirmed that it stops the task"),
        (RUNS, RUNS, CANNOT, "taken", "w1@h cannot stop what it runs (NotImpl"),
        (RUNS, RUNS, OTHER, "unanswered", "w1@h, which has the task, has not"),
        (HELD, HELD, OTHER, "unanswered", "w1@h, which has the task, has not"),
        (HELD, HELD, ONE, "taken", "1 worker took note"),
        (RUNS, RUNS, AWAY, "unanswered", "cannot be reached (refused). It is kept"),
        (task("UNKNOWN"), None, NOBODY, "unknown", "nothing was cancelled"),
        (task("UNKNOWN"), REVOKED, ONE, "unknown", "nothing was cancelled"),
        (task("EXPIRED"), None, NOBODY, "unknown", "has run out"),
    ],
)
def test_outcomes(
    before: TaskView,
    after: TaskView | None,
    told: RevokeAnswers,
    outcome: str,
    part: str,
) -> None:
    said = decide_outcome(before, after, told)
    assert (said.outcome, said.task_id) == (outcome, "t")
    assert part in said.message
    assert (said.canceled_at is not None) == (outcome in ("revoked", "terminated"))


def test_answers_name_what_workers_had_and_what_they_cannot_do() -> None:
    answers: dict[str, object] = {
        "a": {"ok": "terminate: t, u"},
        "b": {"ok": "terminate: tasks unknown"},
        "c": {"error": "NotImplementedError('no')\nmore"},
        "d": "nonsense",
    }
    told = parse_revoke_answers(answers, ["t", "v"])
    assert told.answered == {"a", "b", "c", "d"}
    assert told.confirmed == {"t": "a"}
    assert told.errors == {"c": "NotImplementedError('no')"}


def test_a_cancel_is_kept_until_a_worker_says_that_the_task_ended() -> None:
    assert is_cancel_done(task("REVOKED", final=True, source="event"))
    assert is_cancel_done(task("SUCCESS", final=True, source="backend"))
    # Another worker may still take its message.
    assert not is_cancel_done(task("REVOKED", final=True, source="backend"))
    assert not is_cancel_done(task("STARTED", source="event"))
