"""What a preview foresees."""

from typing import Any

import pytest

from herald_core.model.tasks.views import TaskView
from herald_server.control.bulk.order import REFUSED, Outcome
from herald_server.control.bulk.preview import (
    PreviewBuilder,
    describe_preview,
    evaluate_cancel,
    evaluate_retry,
)


def make_task(state: str = "FAILURE", **more: Any) -> TaskView:
    """Return a task that can be sent again."""
    final = state not in ("PENDING", "STARTED", "LOST", "UNKNOWN")
    fields: dict[str, Any] = {"name": "a", "args": "(1,)", "final": final, **more}
    return TaskView(id="t", state=state, **fields)


@pytest.mark.parametrize(
    ("task", "reruns", "kind"),
    [
        (make_task(), [], None),
        (make_task("LOST"), [], None),
        (make_task("STARTED"), [], "not_ended"),
        (make_task("UNKNOWN"), [], "unknown"),
        (make_task(), ["r"], "ran_again"),
        (make_task(name=None), [], "not_resendable"),
        (make_task(args="('x...',)"), [], "not_resendable"),
        (make_task(kwargs="{'password': '[redacted]'}"), [], "not_resendable"),
    ],
)
def test_a_retry_is_foreseen(
    task: TaskView, reruns: list[str], kind: str | None
) -> None:
    outcome = evaluate_retry(task, reruns, include_rerun=False)
    assert (outcome and outcome.kind) == kind


def test_a_task_may_run_a_third_time_if_that_is_asked_for() -> None:
    assert evaluate_retry(make_task(), ["r"], include_rerun=True) is None


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("PENDING", None),
        ("LOST", None),
        ("FAILURE", "already_ended"),
        ("UNKNOWN", "unknown"),
    ],
)
def test_a_cancel_is_foreseen(state: str, kind: str | None) -> None:
    outcome = evaluate_cancel(make_task(state))
    assert (outcome and outcome.kind) == kind


def test_a_preview_counts_and_says_how_to_confirm() -> None:
    builder = PreviewBuilder("retry")
    builder.add(make_task(), None, False)
    builder.add(make_task(), evaluate_retry(make_task(), ["r"], False), True)
    builder.add(make_task(name="b"), None, False)
    builder.refuse_name("b", Outcome(REFUSED, "no"))
    preview = builder.build({"ids": ["t"]})
    assert (preview["count"], preview["acts_on"], preview["ran_again"]) == (3, 1, 1)
    assert preview["skipped"] == {"ran_again": 1, "refused": 1}
    assert preview["by_name"] == {"a": 2, "b": 1}
    assert "expect=3" in describe_preview(preview)


def test_nothing_is_to_confirm_in_an_empty_preview() -> None:
    empty = PreviewBuilder("retry").build({})
    assert "nothing to do" in describe_preview(empty)
