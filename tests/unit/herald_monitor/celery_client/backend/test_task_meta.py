"""What a result backend keeps, read as events. The metas are those of Celery 5.7."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from billiard.exceptions import TimeLimitExceeded
from celery.utils.serialization import UnpickleableExceptionWrapper
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import MAX_TEXT, Event, Progress
from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.views import TaskView
from herald_monitor.celery_client.backend.task_meta import (
    OversizedValue,
    adds_information,
    format_exception,
    read_meta,
)

HEARD = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC).timestamp()
DONE = HEARD - 1

SUCCESS: dict[str, Any] = {
    "status": "SUCCESS",
    "result": {"rows": 42},
    "traceback": None,
    "children": [],
    "date_done": "2026-11-22T12:00:00+00:00",
    "task_id": "t1",
}
EXTENDED: dict[str, Any] = {
    **SUCCESS,
    "group_id": "g1",
    "parent_id": "p1",
    "name": "reports.build",
    "args": [1, "a"],
    "kwargs": {"deep": True},
    "worker": "celery@h",
    "retries": 2,
    "queue": "reports",
}
FAILURE: dict[str, Any] = {
    **SUCCESS,
    "status": "FAILURE",
    "result": {
        "exc_type": "ValueError",
        "exc_message": ["no"],
        "exc_module": "builtins",
    },
    "traceback": 'Traceback (most recent call last):\n  File "x"\nValueError: no\n',
}


def told(meta: dict[str, Any], task_id: str = "t1") -> Event:
    event = read_meta(meta, task_id, HEARD)
    assert event is not None
    return event


def test_a_success() -> None:
    event = told(SUCCESS)
    assert (event.kind, event.source, event.at) == ("succeeded", "backend", DONE)
    assert (event.result, event.exception) == ("{'rows': 42}", None)


def test_what_result_extended_tells() -> None:
    event = told(EXTENDED)
    assert (event.name, event.queue, event.host) == (
        "reports.build",
        "reports",
        "celery@h",
    )
    assert (event.args, event.kwargs) == ("(1, 'a')", "{'deep': True}")
    assert (event.group_id, event.parent_id, event.retries) == ("g1", "p1", 2)


def test_a_failure_as_its_event_would_tell_it() -> None:
    event = told(FAILURE)
    assert (event.kind, event.exception) == ("failed", repr(ValueError("no")))
    assert (event.traceback, event.result) == (FAILURE["traceback"], None)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ({"exc_type": "KeyError", "exc_message": ["a", 1]}, "KeyError('a', 1)"),
        ({"exc_type": "KeyError", "exc_message": []}, "KeyError()"),
        ({"exc_type": "KeyError", "exc_message": "a"}, "KeyError('a')"),
        ({"exc_type": "KeyError"}, "KeyError()"),
        ({"exc_type": 1}, "{'exc_type': 1}"),
        (ValueError("unpickled"), "ValueError('unpickled')"),
        (TimeLimitExceeded(1), "TimeLimitExceeded(1)"),
        (
            {
                "exc_type": "UnpickleableExceptionWrapper",
                "exc_message": ["shop", "Nope", ["x"], "Nope('x')"],
            },
            "Nope('x')",
        ),
        (
            UnpickleableExceptionWrapper("shop", "Nope", ("x",), "Nope('x')"),
            "Nope('x')",
        ),
        (None, None),
    ],
)
def test_exceptions(encoded: object, text: str | None) -> None:
    assert format_exception(encoded) == text


@pytest.mark.parametrize(
    ("status", "kind"),
    [("REVOKED", "revoked"), ("RETRY", "retried"), ("STARTED", "started")],
)
def test_other_states(status: str, kind: str) -> None:
    assert told({"status": status, "result": None, "date_done": None}).kind == kind


def test_started_names_the_process() -> None:
    result = {"pid": 7, "hostname": "celery@h"}
    event = told({"status": "STARTED", "result": result, "worker": "other"})
    assert (event.host, event.pid, event.result) == ("celery@h", 7, None)


@pytest.mark.parametrize("status", ["PENDING", "RECEIVED"])
def test_what_says_nothing(status: str) -> None:
    assert read_meta({"status": status, "result": None}, "t1", HEARD) is None


@pytest.mark.parametrize(
    ("state", "meta", "progress"),
    [
        ("PROGRESS", {"current": 1, "total": 4}, Progress(25.0, 1.0, 4.0)),
        ("PROGRESS", {"percent": 30, "message": "x"}, Progress(30.0, message="x")),
        ("PROGRESS", {"progress": 30, "status": "x"}, Progress(30.0, message="x")),
        ("UPLOADING", {"percent": 30}, Progress(30.0, message="UPLOADING")),
        ("UPLOADING", {}, Progress(message="UPLOADING")),
    ],
)
def test_progress(state: str, meta: dict[str, Any], progress: Progress) -> None:
    event = told({"status": state, "result": meta, "date_done": None})
    assert (event.kind, event.progress, event.at) == ("progress", progress, HEARD)


@pytest.mark.parametrize(
    ("status", "meta", "message", "custom"),
    [
        ("CUSTOM", None, "CUSTOM", "CUSTOM"),
        ("UPLOADING", "half way", "half way", "UPLOADING"),
        ("UPLOADING", {"file": 3}, "UPLOADING", "UPLOADING"),
        ("UPLOADING", {"message": "file 3"}, "file 3", "UPLOADING"),
        ("UPLOADING", [1, 2], "UPLOADING", "UPLOADING"),
        ("IGNORED", None, "IGNORED", "IGNORED"),
        ("PROGRESS", 50, "PROGRESS", None),
        ("PROGRESS", {"percent": 50}, None, None),
    ],
)
def test_a_state_of_ones_own_is_told_whatever_its_meta(
    status: str, meta: object, message: str | None, custom: str | None
) -> None:
    event = told({"status": status, "result": meta})
    assert event.kind == "progress"
    assert event.progress is not None
    assert (event.progress.message, event.custom_state) == (message, custom)


def test_another_state_of_ones_own_is_news() -> None:
    event = told({"status": "SKIPPED", "result": None})
    shown = TaskView("t1", state="STARTED", progress=Progress(percent=50.0))
    assert adds_information(event, shown)
    assert not adds_information(
        event,
        TaskView("t1", state="STARTED", progress=Progress(), custom_state="SKIPPED"),
    )


@pytest.mark.parametrize(
    ("done", "at"),
    [
        ("2026-11-22T12:00:00", DONE),
        ("2026-11-22T13:00:00+01:00", DONE),
        (datetime(2026, 11, 22, 12, 0, 0), DONE),  # noqa: DTZ001  as databases give it
        ("2026-11-22T12:05:00", HEARD),
        ("yesterday", HEARD),
        (None, HEARD),
    ],
)
def test_when_it_was_stored(done: object, at: float) -> None:
    assert told({**SUCCESS, "date_done": done}).at == at


def test_a_task_is_not_its_own_parent() -> None:
    assert told({**SUCCESS, "parent_id": "t1"}).parent_id is None


def test_reading_the_same_result_again_tells_the_same() -> None:
    first, later = told(EXTENDED), read_meta(EXTENDED, "t1", HEARD + 60)
    assert later == msgspec.structs.replace(first, arrived_at=HEARD + 60)


def test_secrets_are_cut_out() -> None:
    meta = {
        **EXTENDED,
        "result": {"token": "abcdef"},
        "args": [{"password": "abcdef"}],
        "kwargs": {"api_key": "abcdef"},
    }
    event = read_meta(meta, "t1", HEARD, Redactor())
    assert "abcdef" not in repr(event)


def test_long_results_are_shortened() -> None:
    event = told({**SUCCESS, "result": "x" * 50_000})
    assert event.result is not None
    assert len(event.result) == MAX_TEXT
    assert event.result.endswith("(50002 characters)")


def test_a_result_that_was_not_looked_into_says_how_large_it_is() -> None:
    assert (
        told({**SUCCESS, "result": OversizedValue(123)}).result
        == "(truncated, 123 bytes)"
    )


class Bomb:
    """A pickled result that does not want to be looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("boom")


def test_a_result_that_cannot_be_shown() -> None:
    shown = told({**SUCCESS, "result": Bomb()}).result
    assert shown == "(Bomb that cannot be shown)"


@pytest.mark.parametrize(
    "meta",
    [None, [], "x", {}, {"status": 1}, {"status": ""}, {"status": "x" * 10_000}],
)
def test_what_is_no_meta_is_refused_with_a_sentence(meta: object) -> None:
    with pytest.raises(InvalidEvent, match=r"A result must .*\."):
        read_meta(meta, "t1", HEARD)


@pytest.mark.parametrize("task_id", ["", "x" * 300, "\ud800", None, 7])
def test_a_result_without_a_task_is_refused(task_id: object) -> None:
    with pytest.raises(InvalidEvent):
        read_meta(SUCCESS, task_id, HEARD)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.datetimes()
    | st.builds(Bomb),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
STATES = ["SUCCESS", "FAILURE", "REVOKED", "RETRY", "STARTED", "PROGRESS", "MINE"]
poison = st.fixed_dictionaries(
    {"status": st.sampled_from(STATES) | anything},
    optional={
        key: anything
        for key in (*EXTENDED, "exc_type", "hostname", "percent", "current", "total")
        if key != "status"
    },
)


@given(meta=poison | anything, task_id=st.text() | anything)
def test_nothing_but_bad_event_is_ever_raised(meta: object, task_id: object) -> None:
    event = None
    with contextlib.suppress(InvalidEvent):
        event = read_meta(meta, task_id, HEARD, Redactor())
    assert event is None or (event.source, event.at <= HEARD) == ("backend", True)


@pytest.mark.parametrize(
    ("kind", "shown", "news"),
    [
        ("succeeded", TaskView(id="t1", state="STARTED"), True),
        ("succeeded", TaskView(id="t1", state="SUCCESS", final=True), False),
        ("failed", TaskView(id="t1", state="SUCCESS", final=True), True),
        ("retried", TaskView(id="t1", state="STARTED", retries=0), True),
        ("retried", TaskView(id="t1", state="STARTED", retries=1), False),
        ("retried", TaskView(id="t1", state="RETRY"), False),
        ("started", TaskView(id="t1", state="PENDING"), True),
        ("started", TaskView(id="t1", state="STARTED"), False),
        ("started", TaskView(id="t1", state="FAILURE", final=True), False),
        ("succeeded", None, True),
    ],
)
def test_what_is_news(kind: str, shown: TaskView | None, news: bool) -> None:
    event = Event(kind=kind, task_id="t1", at=HEARD, source="backend")
    assert adds_information(event, shown) is news


@pytest.mark.parametrize(
    ("shown", "news"),
    [(None, True), (Progress(30.0), True), (Progress(50.0), False)],
)
def test_progress_that_is_read_again_never_goes_back(
    shown: Progress | None, news: bool
) -> None:
    event = told({"status": "PROGRESS", "result": {"percent": 50}})
    image = TaskView(id="t1", state="STARTED", progress=shown)
    assert adds_information(event, image) is news
