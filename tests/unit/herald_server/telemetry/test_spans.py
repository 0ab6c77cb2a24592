"""The spans of tasks and groups, and their ids."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from herald_core.model.tasks.views import AttemptView, TaskView, to_rfc3339
from herald_server.telemetry.span_ids import (
    make_group_span_id,
    make_task_span_id,
    make_trace_id,
)
from herald_server.telemetry.spans import SpanMaker, make_single_attempt

NOW = 1_800_000_000.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = "b7ad6b7169203331"


def at(seconds: float) -> str:
    return to_rfc3339(NOW + seconds)


def make_task(id_: str = "t", **fields: Any) -> TaskView:
    given: dict[str, Any] = {
        "name": "pay", "state": "SUCCESS", "attempt": 1, "submitted_at": at(0),
        "received_at": at(1), "started_at": at(2), "finished_at": at(5), **fields,
    }  # fmt: skip
    return TaskView(id=id_, **given)


def make_spans(task: TaskView, known: int = 0) -> dict[str, ReadableSpan]:
    spans = SpanMaker().make_task_spans(task, [make_single_attempt(task)], known)
    return {span.name: span for span in spans}


def measure_s(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_task_waits_and_runs_within_its_span() -> None:
    spans = make_spans(make_task())
    assert {name: measure_s(span) for name, span in spans.items()} == {
        "pay": 5.0,
        "pay wait": 2.0,
        "pay run": 3.0,
    }
    parent = spans["pay run"].parent
    assert parent is not None
    assert parent.span_id == make_task_span_id("t")


def test_the_trace_is_that_of_the_application() -> None:
    assert make_trace_id(make_task(trace_id=TRACE)) == int(TRACE, 16)
    child = make_task("c", root_id="t")
    assert make_trace_id(child) == make_trace_id(make_task())


def test_groups_and_senders_are_parents() -> None:
    child = make_spans(make_task("c", parent_id="t"))["pay"].parent
    assert child is not None
    assert child.span_id == make_task_span_id("t")
    member = make_spans(make_task("m", parent_id="t", group_id="g"))["pay"].parent
    assert member is not None
    assert member.span_id == make_group_span_id("g")


def test_the_span_that_sent_the_task_is_linked_and_above_it() -> None:
    sent = make_spans(make_task(trace_id=TRACE, parent_span_id=SENDER))["pay"]
    assert sent.parent is not None
    assert sent.parent.span_id == int(SENDER, 16)
    [link] = sent.links
    assert link.context == sent.parent


def test_a_sender_known_to_celery_is_the_parent_and_the_other_is_linked() -> None:
    known = make_task(trace_id=TRACE, parent_span_id=SENDER, parent_id="t")
    sent = make_spans(known)["pay"]
    assert sent.parent is not None
    assert sent.parent.span_id == make_task_span_id("t")
    assert [link.context.span_id for link in sent.links] == [int(SENDER, 16)]


def test_a_failure_is_an_error() -> None:
    span = make_spans(make_task(state="FAILURE", exception="ValueError('x')"))["pay"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError('x')"


def test_each_attempt_has_spans_and_another_run_only_its_own() -> None:
    first = AttemptView(attempt=1, state="RETRY", started_at=at(1), finished_at=at(2))
    second = AttemptView(
        attempt=2, state="SUCCESS", received_at=at(3), started_at=at(4),
        finished_at=at(5),
    )  # fmt: skip
    make = SpanMaker().make_task_spans
    names = [span.name for span in make(make_task(), [first, second])]
    assert names == ["pay", "pay wait", "pay run", "pay wait", "pay run"]
    assert len(make(make_task(), [first, second], 1)) == 2


def test_what_is_not_known_is_no_span() -> None:
    assert set(make_spans(make_task(started_at=None))) == {"pay"}


def test_a_group_lasts_from_its_first_member_to_its_last() -> None:
    members = [make_task("a"), make_task("b", finished_at=at(9))]
    span = SpanMaker().make_group_span("g", members)
    assert span is not None
    assert measure_s(span) == 9.0
    assert SpanMaker().make_group_span("g", []) is None
