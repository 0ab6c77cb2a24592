"""Answers of workers, whatever is in them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.events.redaction import Redactor
from herald_monitor.celery_client.workers.active_queues import list_names, read_consumed
from herald_monitor.celery_client.workers.inspect_replies import (
    RegisteredTasks,
    describe,
    iter_replies,
    read_answers,
    read_confirmed,
    read_registered,
    suppresses_events,
)

REQUEST: dict[str, Any] = {
    "id": "t1",
    "name": "add",
    "args": "(1, 2)",
    "kwargs": "{'password': 'secret'}",
    "type": "add",
    "hostname": "w@h",
    "time_start": 900.0,
    "acknowledged": True,
    "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 3},
    "worker_pid": 77,
}


def test_what_runs_is_started() -> None:
    [event], poison = read_answers("active", "w@h", [REQUEST], 1000.0, Redactor())
    assert poison == 0
    assert (event.kind, event.source, event.at) == ("started", "inspect", 1000.0)
    assert (event.host, event.pid, event.worker_time) == ("w@h", 77, 900.0)
    assert (event.name, event.args, event.priority) == ("add", "(1, 2)", 3)
    assert event.kwargs is not None
    assert "secret" not in event.kwargs


@pytest.mark.parametrize(
    ("command", "answer"),
    [("reserved", REQUEST), ("scheduled", {"eta": None, "request": REQUEST})],
)
def test_what_waits_is_received_and_keeps_its_arguments_to_itself(
    command: str, answer: object
) -> None:
    [event], _ = read_answers(command, "w@h", [answer], 1000.0)
    assert (event.kind, event.name, event.args) == ("received", "add", None)
    assert event.kwargs is None


@pytest.mark.parametrize(
    "answer", [None, {"error": "no"}, "x", [None], [{}], [{"id": 5}], [[]]]
)
def test_what_cannot_be_read_is_counted(answer: object) -> None:
    for command in ("active", "reserved", "scheduled"):
        assert read_answers(command, "w@h", answer, 1000.0) == ([], 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*REQUEST, "request"]), inner, max_size=5)
    ),
)


@given(JSON, st.sampled_from(["active", "reserved", "scheduled"]))
def test_no_answer_raises(answer: object, command: str) -> None:
    events, poison = read_answers(command, "w@h", answer, 1000.0)
    assert poison >= 0
    assert all(event.task_id and event.at == 1000.0 for event in events)
    read_consumed(answer)
    read_confirmed(answer)
    suppresses_events(answer)
    list(iter_replies(answer))
    read_registered([answer])


def test_what_may_come_again_is_told() -> None:
    again = {**REQUEST, "id": "t2", "acknowledged": False}
    assert read_confirmed([REQUEST, again, {"id": "t3"}]) == {"t1": True, "t2": False}


def test_tasks_that_ignore_their_result_or_are_limited_are_told() -> None:
    answer = [
        "a [ignore_result=False]",
        "b [ignore_result=True rate_limit=9/m]",
        "c",
        3,
    ]
    assert read_registered([answer, {"error": "no"}]) == RegisteredTasks(
        frozenset(["b"]), frozenset(["b"])
    )


def test_queues_and_silent_tasks_are_told() -> None:
    assert list_names(read_consumed([{"name": "a"}, {"name": "b"}, {}, 3])) == {
        "a",
        "b",
    }
    assert suppresses_events(["add [send_events=True]", "x [send_events=False]"])
    assert not suppresses_events(["add [send_events=True]"])


@pytest.mark.parametrize(
    ("answer", "slots"),
    [
        ({"pool": {"max-concurrency": 8, "processes": [1, 2]}}, 8),
        ({"pool": {}}, None),
        ({"pool": {"max-concurrency": "8"}}, None),
        ({"pool": {"max-concurrency": True}}, None),
        ({"pool": {"max-concurrency": -1}}, None),
        ({"error": "not now"}, None),
        (None, None),
    ],
)
def test_slots_are_what_the_pool_says(answer: object, slots: int | None) -> None:
    assert describe([answer]).slots == slots


def test_processes_of_one_name_are_described_together() -> None:
    one = {
        "pool": {"max-concurrency": 2, "implementation": "celery.concurrency.solo:X"}
    }
    told = describe([one, one, {"error": "not now"}])
    assert (told.processes, told.slots, told.pool) == (3, 4, "solo")
    other = {"pool": {"implementation": "celery.concurrency.thread:TaskPool"}}
    assert describe([one, other]).pool is None
    assert describe([{"pool": {"implementation": 5}}]).pool is None
