"""What a change adds to the counters of Prometheus."""

from typing import Any

import pytest

from herald_core.model.events.event import Event
from herald_core.model.rollups.counter_delta import (
    CounterDelta,
    CounterLabels,
    CounterRules,
    make_bucket,
    make_counter_delta,
    parse_exception_class,
)
from herald_core.model.rollups.rollup_delta import make_delta
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, merge

HOST = CounterLabels("x.add", "q", "h")
SENT: dict[str, Any] = {"host": "gen7@web", "name": "x.add", "queue": "q"}


def event(kind: str, clock: int, **fields: Any) -> Event:
    given: dict[str, Any] = {
        "at": 1e9 + clock,
        "host": "w1@h",
        "pid": 7,
        "clock": clock,
        **fields,
    }
    return Event(kind=kind, task_id="a", **given)


def added(
    old: Task | None, *events: Event, rules: CounterRules | None = None
) -> tuple[Task, CounterDelta | None]:
    """Return the task after `events`, and what they add."""
    task = old
    for one in events:
        task = merge(task, one)
    assert task is not None
    was = project(old) if old else None
    image = project(task)
    delta = make_delta(old, was, task, image)
    return task, make_counter_delta(old, task, image, delta, rules or CounterRules())


def counted(delta: CounterDelta | None) -> dict[CounterLabels, dict[str, int]]:
    return {labels: dict(counts) for labels, counts in delta.rows} if delta else {}


def test_a_life_counts_by_sender_and_worker() -> None:
    _, delta = added(
        None,
        event("sent", 1, **SENT),
        event("received", 2, name="x.add"),
        event("started", 3),
        event("succeeded", 4, runtime=0.07),
    )
    assert delta is not None
    assert counted(delta) == {
        CounterLabels("x.add", "q", "web"): {"submitted": 1},
        HOST: {"received": 1, "started": 1, "succeeded": 1, "r0.075": 1, "w2.5": 1},
    }
    assert (delta.runtime_s, delta.wait_s) == (0.07, 2.0)


def test_a_failure_counts_by_its_class() -> None:
    task, _ = added(None, event("sent", 1, **SENT), event("started", 3))
    _, delta = added(task, event("failed", 4, exception="KeyError('a')"))
    labels = CounterLabels("x.add", "q", "h", "KeyError")
    assert counted(delta) == {labels: {"failed": 1}}


def test_a_task_that_rejects_its_message_counts_as_failed_and_rejected() -> None:
    """Celery sends both events: of one end, in either order, in one batch or two."""
    failed = event("failed", 4, exception="Reject('no', False)")
    rejected = event("rejected", 5)
    labels = CounterLabels("x.add", "q", "h", "Reject")
    start, _ = added(None, event("sent", 1, **SENT), event("started", 3))
    both = {labels: {"failed": 1}, HOST: {"rejected": 1}}
    task, delta = added(start, failed, rejected)
    assert counted(delta) == both
    assert added(task, rejected)[1] is None
    for first, second in ((failed, rejected), (rejected, failed)):
        task, one = added(start, first)
        _, other = added(task, second)
        assert counted(one) | counted(other) == both


def test_what_is_heard_again_or_is_lost_counts_nothing() -> None:
    task, _ = added(None, event("sent", 1, **SENT), event("started", 3))
    assert added(task, event("started", 3))[1] is None
    lost = event("lost", 90, source="inferred", host="")
    assert added(task, lost)[1] is None


def test_a_queue_that_is_known_late_moves_nothing() -> None:
    task, _ = added(None, event("received", 2, name="x.add"))
    _, delta = added(task, event("sent", 1, **SENT))
    assert counted(delta) == {CounterLabels("x.add", "q", "web"): {"submitted": 1}}


def test_the_time_until_an_eta_is_no_wait() -> None:
    sent = event("sent", 1, **SENT, eta=1e9 + 50)
    _, delta = added(None, sent, event("started", 51))
    assert delta is not None
    assert delta.wait_s == pytest.approx(1.0)


def test_a_start_before_its_sending_by_another_clock_waited_no_time() -> None:
    _, delta = added(None, event("sent", 9, **SENT), event("started", 3))
    assert delta is not None
    assert (counted(delta)[HOST]["w0.05"], delta.wait_s) == (1, 0.0)


def test_a_retry_waits_since_it_was_sent_again() -> None:
    task, _ = added(
        None,
        event("sent", 1, **SENT, retries=0),
        event("received", 2, retries=0),
        event("started", 3),
        event("sent", 4, **{**SENT, "host": "w1@h"}, retries=1),
        event("retried", 5, exception="OSError()"),
    )
    task, delta = added(task, event("received", 10, retries=1), event("started", 20))
    assert delta is not None
    assert delta.wait_s == 16.0
    # The next one is sent already, which is not what the second waited for.
    _, delta = added(
        None,
        event("sent", 1, **SENT, retries=0),
        event("started", 3),
        event("sent", 4, **SENT, retries=1),
    )
    assert delta is not None
    assert delta.wait_s == 2.0


def test_a_retry_that_no_worker_said_it_sent_waits_since_its_eta() -> None:
    task, _ = added(
        None,
        event("sent", 1, **SENT, retries=0),
        event("received", 2, retries=0),
        event("started", 3),
        event("retried", 4, exception="OSError()"),
    )
    received = event("received", 5, retries=1, eta=1e9 + 30)
    _, delta = added(task, received, event("started", 31))
    assert delta is not None
    assert delta.wait_s == 1.0


def test_an_only_start_before_all_sendings_takes_the_first() -> None:
    sent = [event("sent", clock, **SENT, retries=n) for n, clock in enumerate((5, 6))]
    _, delta = added(None, *sent, event("started", 3))
    assert delta is not None
    assert delta.wait_s == 0.0


def test_sendings_without_a_start_have_no_wait() -> None:
    sent = [event("sent", clock, **SENT, retries=n) for n, clock in enumerate((5, 6))]
    _, delta = added(None, *sent)
    assert counted(delta).keys() == {CounterLabels("x.add", "q", "web")}


def test_of_several_starts_the_newest_waited() -> None:
    starts = [event("started", clock, host=f"w{9 - clock}@h") for clock in (3, 8, 5)]
    _, delta = added(None, event("sent", 1, **SENT), *starts)
    assert delta is not None
    assert delta.wait_s == 7.0


def test_values_above_all_bounds_have_a_bucket_without_end() -> None:
    rules = CounterRules((1.0,), (1.0,), has_hosts=False)
    _, delta = added(
        None,
        event("sent", 1, **SENT),
        event("started", 3),
        event("succeeded", 9, runtime=6.0),
        rules=rules,
    )
    generic = CounterLabels("x.add", "q", "generic")
    assert delta is not None
    # Clients and workers have the same labels, and two rows.
    assert [labels for labels, _ in delta.rows] == [generic, generic]
    assert dict(delta.rows[1][1]) == {"started": 1, "succeeded": 1, "r": 1, "w": 1}


def test_a_trace_is_told_with_a_runtime_only() -> None:
    sent = event("sent", 1, **SENT, trace_id="ab" * 16)
    task, delta = added(None, sent, event("started", 3))
    assert delta is not None
    assert delta.trace_id == ""
    _, delta = added(task, event("succeeded", 4, runtime=0.5))
    assert delta is not None
    assert delta.trace_id == "ab" * 16


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ValueError('x')", "ValueError"),
        ("Lock(1)", "Lock"),
        ("a.b.Error('x')", "UnknownException"),
        (None, "UnknownException"),
        ("E" * 300 + "()", "E" * 200),
    ],
)
def test_the_class_of_an_exception(text: str | None, name: str) -> None:
    assert parse_exception_class(text) == name


def test_buckets_are_named_by_their_bounds() -> None:
    assert [make_bucket("r", b) for b in (0.005, 1.0, 1800.0)] == [
        "r0.005",
        "r1",
        "r1800",
    ]
    assert make_bucket("w", None) == "w"
