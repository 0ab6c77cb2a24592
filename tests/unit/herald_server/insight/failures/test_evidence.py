"""What a failed task adds to the document of its cause."""

from typing import Any

import pytest

from herald_core.model.changes import Change
from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.filters import PreviousValues
from herald_core.model.tasks.views import TaskView
from herald_server.insight.failures.evidence import (
    MAX_LISTED,
    find_cause,
    make_counts_update,
    make_evidence,
    make_update,
    merge_evidence,
)
from herald_server.insight.failures.summaries import CauseCounts
from tests.support.model.changes import change

CAUSE = make_fingerprint("KeyError('x')", None)
FAILED: dict[str, Any] = {"exception": "KeyError('x')", "failure": CAUSE}


def make_change(
    state: str = "FAILURE", before: PreviousValues | None = None, **fields: Any
) -> Change:
    one = change(1, "a", state, **fields)
    return Change(one.kind, one.id, one.rev, one.place, one.json, one.task, before)


def make_task(second: int, id_: str = "a", **fields: Any) -> TaskView:
    at = f"2026-01-01T00:00:{second:02}.000Z"
    given: dict[str, Any] = {"name": "shop.pay", "worker": "w1@h", **FAILED, **fields}
    return TaskView(id=id_, state="FAILURE", finished_at=at, **given)


@pytest.mark.parametrize(
    ("one", "cause"),
    [
        (make_change(**FAILED), CAUSE),
        (make_change(before=PreviousValues("STARTED"), **FAILED), CAUSE),
        (make_change(before=PreviousValues("FAILURE", failure=CAUSE), **FAILED), None),
        (
            make_change(
                before=PreviousValues("FAILURE", None, None, 1, CAUSE), **FAILED
            ),
            CAUSE,
        ),
        (make_change("RETRY", exception="KeyError('x')"), CAUSE),
        (make_change("RETRY", PreviousValues("RETRY"), exception="KeyError()"), None),
        (make_change("RETRY"), None),
        (make_change("SUCCESS"), None),
        (change(1, gone=True), None),
    ],
)
def test_each_failed_attempt_is_noted_once(one: Change, cause: str | None) -> None:
    assert find_cause(one) == cause


def test_a_document_holds_the_first_the_last_and_an_example() -> None:
    first = make_update(make_evidence(make_task(5)), None, CauseCounts([], 1))(None)
    later = merge_evidence(
        make_evidence(make_task(7, "b")), make_evidence(make_task(9, "c", name="x"))
    )
    data = make_update(later, CauseCounts([], 2, 1), None, {"w1@h": "v2"})(first)
    assert data == {
        "exception": "KeyError",
        "message_example": "KeyError('x')",
        "first_seen": "2026-01-01T00:00:05.000Z",
        "last_seen": "2026-01-01T00:00:09.000Z",
        "names": ["x", "shop.pay"],
        "workers": ["w1@h"],
        "versions": ["v2"],
        "task_example": "c",
        "count_1h": 2,
        "retried_1h": 1,
        "count_24h": 0,
        "retried_24h": 0,
    }


def test_lists_of_a_document_are_bounded() -> None:
    data: dict[str, Any] | None = None
    for n in range(MAX_LISTED + 5):
        seen = make_evidence(make_task(5, name=f"n{n}"))
        data = make_update(seen, None, None)(data)
    assert data is not None
    assert len(data["names"]) == MAX_LISTED
    assert data["names"][0] == f"n{MAX_LISTED + 4}"


def test_counts_that_are_over_are_written_once() -> None:
    over = make_counts_update(None, None)
    known = make_update(make_evidence(make_task(5)), None, CauseCounts([], 3))(None)
    assert known is not None
    ended = over(known)
    assert ended is not None
    assert ended["count_24h"] == 0
    assert over(ended) is None
    assert over(None) is None
