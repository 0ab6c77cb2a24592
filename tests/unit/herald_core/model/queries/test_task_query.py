"""Which tasks a query selects."""

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.queries.query_text import parse_query_text
from herald_core.model.queries.task_query import TaskQuery, parse_sort
from herald_core.model.queries.value_range import compute_wait_s
from herald_core.model.tasks.views import TaskView, from_rfc3339

NOW = from_rfc3339("2026-11-30T07:30:00Z")
TASK = TaskView(
    id="8F2C1A90-1",
    name="orders.Charge",
    state="FAILURE",
    args="(7,)",
    kwargs="{'order_id': 12345, 'city': 'Köln'}",
    exception="TimeoutError('no answer')",
    traceback="File 'bank.py', line 3",
    result="None at all",
    runtime=12.5,
    worker="celery@w01",
    submitted_at="2026-11-30T07:00:00.000Z",
    received_at="2026-11-30T07:00:30.000Z",
    started_at="2026-11-30T07:02:00.000Z",
    finished_at="2026-11-30T07:02:12.500Z",
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345 timeout",
        "8f2c",
        "charge",
        "köln",
        "KÖLN",
        "kwargs.order_id:12345",
        "kwargs.city:köln",
        "kwargs.order_id:1,12345",
        "kwargs.order_id:12*",
        "args.0:7",
        "id:8f2c1a90",
        "text:bank.py",
        "traceback:bank",
        "error:bank",
        "result:none",
        "worker:w01 failed",
        "took:>10s wait:2m..2m",
        "finished:07:02..07:03",
        "-state:SUCCESS -paris -took:>1m",
        "sent:07:00..07:00",
    ],
)
def test_it_finds_the_task(text: str) -> None:
    assert parse_query_text(text, NOW).matches(TASK, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "12345 paris",
        "2c1a",
        "bank.py",
        "kwargs.order_id:1234",
        "kwargs.order:12345",
        "args:12345",
        "id:2c1a",
        "running",
        "took:<10s",
        "wait:>2m",
        "-failed",
        "-12345",
        "-took:>10s",
        "started:1m",
    ],
)
def test_it_does_not_find_the_task(text: str) -> None:
    assert not parse_query_text(text, NOW).matches(TASK, NOW)


def test_value_that_is_not_known_is_in_no_range() -> None:
    bare = TaskView(id="x")
    for text in ("took:0s", "wait:0s", "started:yesterday"):
        assert not parse_query_text(text, NOW).matches(bare, NOW)


@pytest.mark.parametrize(
    ("task", "seconds"),
    [
        (TASK, 120.0),
        (TaskView(id="x", attempt=2, submitted_at="2026-11-30T07:00:00Z",
                  received_at="2026-11-30T07:10:00Z",
                  started_at="2026-11-30T07:10:01Z"), 1.0),
        (TaskView(id="x", state="PENDING", submitted_at="2026-11-30T07:00:00Z"), 1800),
        (TaskView(id="x", state="RECEIVED", received_at="2026-11-30T07:00:00Z",
                  eta="2026-11-30T07:20:00Z"), 600.0),
        (TaskView(id="x", state="PENDING", submitted_at="2026-11-30T07:00:00Z",
                  eta="2026-11-30T08:00:00Z"), 0.0),
        (TaskView(id="x", state="REVOKED", received_at="2026-11-30T07:00:00Z"), None),
        (TaskView(id="x", state="STARTED", started_at="2026-11-30T07:00:00Z"), None),
    ],
)  # fmt: skip
def test_wait_for_the_start(task: TaskView, seconds: float | None) -> None:
    assert compute_wait_s(task, NOW) == seconds


def test_arrival_is_limited_by_after_and_before() -> None:
    query = TaskQuery(after=10.0, before=20.0)
    assert [query.contains_arrival(at) for at in (9.0, 10.0, 20.0)] == [
        False, True, False,
    ]  # fmt: skip
    assert TaskQuery().contains_arrival(0.0)


def test_narrowed_query_finds_only_what_the_token_may_see() -> None:
    query = parse_query_text("12345", NOW)
    assert query.narrow(None) is query
    assert query.narrow(Filter(name=("orders.*",))).matches(TASK, NOW)
    assert not query.narrow(Filter(name=("other",))).matches(TASK, NOW)


def test_some_queries_are_decided_by_their_filter_alone() -> None:
    assert parse_query_text("failed last:1h", NOW).is_filter
    for text in ("12345", "-12345", "took:1s", "-took:1s", "-failed"):
        assert not parse_query_text(text, NOW).is_filter


def test_sort_is_refused_with_the_fields_that_there_are() -> None:
    assert parse_sort(None) is None
    with pytest.raises(InvalidInput, match="sort is one of submitted"):
        parse_sort("-name")


def test_a_task_without_texts_matches_no_word() -> None:
    query = parse_query_text("timeout", NOW)
    assert not query.matches(TaskView(id="other", state="STARTED"), NOW)
