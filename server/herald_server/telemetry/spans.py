"""The spans of a task that has ended, and of a group. Pure.

A task is a span from when it was sent to its end, below the span of its group, of the
task that sent it or, where there is neither, of what called it; that one is linked too.
Below it are, for each attempt, the wait for a worker and the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from herald_core.model.tasks.views import (
    FAILURE,
    LOST,
    REJECTED,
    RETRY,
    AttemptView,
    TaskView,
    from_rfc3339,
)
from herald_server.telemetry.span_ids import (
    make_attempt_span_id,
    make_group_span_id,
    make_task_span_id,
    make_trace_id,
)

SCOPE = InstrumentationScope("celery-herald")
RESOURCE = Resource({"service.name": "celery"})
"""The service that the spans are of; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
change it, see `exporter.py`."""

ERROR_STATES = frozenset([FAILURE, LOST, REJECTED, RETRY])
NANOSECONDS_PER_S = 1_000_000_000
MAX_MESSAGE_CHARS = 1_024


class SpanMaker:
    """Makes spans of `resource`."""

    def __init__(self, resource: Resource = RESOURCE) -> None:
        self._resource = resource

    def make_task_spans(
        self, task: TaskView, attempts: Sequence[AttemptView], known_attempt: int = 0
    ) -> list[ReadableSpan]:
        """Return the spans of a task that has ended, with its attempts.

        Attempts up to `known_attempt` were exported before, and the task with them.
        """
        new = [one for one in attempts if one.attempt > known_attempt]
        spans = [self._make_task_span(task, attempts)] if not known_attempt else []
        for one in new:
            spans += self._make_attempt_spans(task, one)
        return [span for span in spans if span is not None]

    def _make_task_span(
        self, task: TaskView, attempts: Sequence[AttemptView]
    ) -> ReadableSpan | None:
        starts = [task.submitted_at, task.received_at, task.started_at]
        starts += [attempt.received_at or attempt.started_at for attempt in attempts]
        return self._make_span(
            task.name or "task",
            make_trace_id(task),
            make_task_span_id(task.id),
            _find_parent(task),
            min((at for at in starts if at), default=task.finished_at),
            task.finished_at or task.updated_at,
            {**_list_attributes(task), "celery.state": task.state},
            _make_status(task.state, task.exception),
            SpanKind.PRODUCER,
            _list_links(task),
        )

    def _make_attempt_spans(
        self, task: TaskView, attempt: AttemptView
    ) -> list[ReadableSpan | None]:
        trace, parent = make_trace_id(task), make_task_span_id(task.id)
        number = attempt.attempt
        # Only the first attempt waits from when the task was sent.
        sent = task.submitted_at if number == 1 else None
        attributes = {
            **_list_attributes(task),
            "celery.state": attempt.state,
            "celery.attempt": number,
            **({"celery.worker": attempt.worker} if attempt.worker else {}),
        }
        status = _make_status(attempt.state, attempt.exception)
        return [
            self._make_span(
                f"{task.name or 'task'} wait",
                trace,
                make_attempt_span_id(task.id, number, "wait"),
                parent,
                sent or attempt.received_at,
                attempt.started_at,
                attributes,
                Status(),
                SpanKind.INTERNAL,
            ),
            self._make_span(
                f"{task.name or 'task'} run",
                trace,
                make_attempt_span_id(task.id, number, "run"),
                parent,
                attempt.started_at,
                attempt.finished_at,
                attributes,
                status,
                SpanKind.CONSUMER,
            ),
        ]

    def make_group_span(
        self, group_id: str, members: Iterable[TaskView]
    ) -> ReadableSpan | None:
        """Return the span of a group whose `members` have all ended."""
        listed = list(members)
        starts = [one.submitted_at or one.received_at for one in listed]
        ends = [one.finished_at or one.updated_at for one in listed]
        if not listed:
            return None
        parent = listed[0].parent_id
        return self._make_span(
            "group",
            make_trace_id(listed[0]),
            make_group_span_id(group_id),
            make_task_span_id(parent) if parent else None,
            min((at for at in starts if at), default=None),
            max((at for at in ends if at), default=None),
            {"celery.group_id": group_id, "celery.members": len(listed)},
            Status(),
            SpanKind.INTERNAL,
        )

    def _make_span(
        self,
        name: str,
        trace: int,
        span: int,
        parent: int | None,
        start: str | None,
        end: str | None,
        attributes: Mapping[str, str | int],
        status: Status,
        kind: SpanKind,
        links: Sequence[Link] = (),
    ) -> ReadableSpan | None:
        """Return a span; None if its beginning or its end is not known."""
        if start is None or end is None:
            return None
        begun = _to_ns(start)
        return ReadableSpan(
            name,
            _make_context(trace, span),
            _make_context(trace, parent) if parent is not None else None,
            self._resource,
            attributes,
            links=links,
            kind=kind,
            status=status,
            start_time=begun,
            # Clocks of two machines may differ.
            end_time=max(_to_ns(end), begun),
            instrumentation_scope=SCOPE,
        )


def make_single_attempt(task: TaskView) -> AttemptView:
    """Return the only attempt of a task, as its view tells."""
    return AttemptView(
        attempt=task.attempt or 1,
        state=task.state,
        worker=task.worker,
        received_at=task.received_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        exception=task.exception,
    )


def _find_parent(task: TaskView) -> int | None:
    if task.group_id:
        return make_group_span_id(task.group_id)
    if task.parent_id:
        return make_task_span_id(task.parent_id)
    return int(task.parent_span_id, 16) if task.parent_span_id else None


def _list_links(task: TaskView) -> list[Link]:
    """Return a link to the span that sent the task, if it is known."""
    if task.parent_span_id is None:
        return []
    return [Link(_make_context(make_trace_id(task), int(task.parent_span_id, 16)))]


def _list_attributes(task: TaskView) -> dict[str, str | int]:
    known: dict[str, str | None] = {
        "celery.task_id": task.id,
        "celery.task_name": task.name,
        "messaging.system": "celery",
        "messaging.message.id": task.id,
        "messaging.destination.name": task.queue,
        "celery.root_id": task.root_id,
        "celery.parent_id": task.parent_id,
        "celery.group_id": task.group_id,
    }
    return {key: value for key, value in known.items() if value is not None}


def _make_status(state: str, exception: str | None) -> Status:
    if state not in ERROR_STATES:
        return Status()
    return Status(StatusCode.ERROR, (exception or state)[:MAX_MESSAGE_CHARS])


def _make_context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, False, TraceFlags(TraceFlags.SAMPLED))


def _to_ns(at: str) -> int:
    return round(from_rfc3339(at) * 1_000) * (NANOSECONDS_PER_S // 1_000)
