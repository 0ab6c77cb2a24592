"""`parse_event` reads what Celery sends and trusts nothing in it."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.errors import InvalidEvent
from herald_core.model.codec import to_json
from herald_core.model.events.event import (
    KINDS,
    MAX_NAME,
    MAX_NUMBER,
    MAX_TEXT,
    MAX_TRACEBACK,
    Event,
    Progress,
    parse_event,
    shorten,
    shorten_traceback,
)
from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import merge
from herald_core.store.redis.encoding.record_codec import encode_record
from tests.support.model.events import T0
from tests.support.model.recordings import RECORDINGS, raw

RECEIVED: dict[str, Any] = {
    "type": "task-received",
    "uuid": "t1",
    "hostname": "w1@h",
    "pid": 7,
    "clock": 12,
    "timestamp": T0,
    "utcoffset": -2,
    "name": "reports.daily",
    "args": "(1,)",
    "kwargs": "{}",
    "retries": 1,
    "root_id": "r1",
    "parent_id": "p1",
    "eta": "2027-01-15T08:00:30+00:00",
    "expires": None,
}


def parsed(**changed: object) -> Event:
    """Return the event of `RECEIVED` with some fields changed."""
    event = parse_event(RECEIVED | changed, T0 + 1)
    assert event is not None
    return event


def test_an_event_is_read() -> None:
    assert parsed() == Event(
        kind="received",
        task_id="t1",
        at=T0,
        arrived_at=T0 + 1,
        host="w1@h",
        pid=7,
        clock=12,
        retries=1,
        name="reports.daily",
        args="(1,)",
        kwargs="{}",
        root_id="r1",
        parent_id="p1",
        eta=T0 + 30,
    )


@pytest.mark.parametrize("kind", ["worker-heartbeat", "task-custom", "", None, 5, []])
def test_other_kinds_tell_nothing_of_a_task(kind: object) -> None:
    assert parse_event({**RECEIVED, "type": kind}, T0) is None


def test_a_kind_of_thousands_of_digits_tells_nothing() -> None:
    assert parse_event({**RECEIVED, "type": 10**5000}, T0) is None


@pytest.mark.parametrize("uuid", [None, "", "x" * 256, 5, b"t1", ["t1"], "t\ud800"])
def test_an_event_without_a_usable_uuid_is_refused(uuid: object) -> None:
    with pytest.raises(InvalidEvent, match="task-received without a usable uuid"):
        parsed(uuid=uuid)


def test_an_id_may_be_any_text_that_can_be_stored() -> None:
    assert parsed(uuid="Auftrag №1").task_id == "Auftrag №1"


@pytest.mark.parametrize(
    "stamp", [None, math.nan, math.inf, -math.inf, True, 0, -5.0, "1", [], 10**400]
)
def test_a_time_that_cannot_be_meant_is_when_it_was_heard(stamp: object) -> None:
    assert parsed(timestamp=stamp).at == T0 + 1


@pytest.mark.parametrize("ahead", [1.5, 365 * 86_400.0, 1e300])
def test_nothing_is_heard_before_it_happened(ahead: float) -> None:
    event = parsed(timestamp=T0 + ahead)
    assert (event.at, event.worker_time) == (T0 + 1, min(T0 + ahead, MAX_NUMBER))


def test_the_utcoffset_says_nothing_about_the_timestamp() -> None:
    assert parsed(utcoffset=10).at == T0


@pytest.mark.parametrize("bad", [-1, 1 << 80, True, "7", 7.5, None, math.nan])
def test_numbers_that_cannot_be_meant_are_dropped(bad: object) -> None:
    event = parsed(pid=bad, clock=bad, retries=bad)
    assert (event.pid, event.clock, event.retries) == (0, 0, None)


def test_the_default_priority_is_none() -> None:
    assert parsed(priority=0).priority is None
    assert parsed(priority=9).priority == 9


def test_counts_that_no_store_could_hold_are_dropped() -> None:
    assert parsed(retries=(1 << 63) - 1).retries is None


def test_what_is_no_text_is_shown_as_its_repr() -> None:
    event = parsed(args=[1, {"a": None}], kwargs={"b": b"\x00"}, name=5)
    assert (event.args, event.kwargs, event.name) == (
        "[1, {'a': None}]",
        "{'b': b'\\x00'}",
        "5",
    )


def test_what_cannot_be_shown_is_said_to_be_so() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert parsed(args=deep).args == "(list that cannot be shown)"
    assert parsed(args=10**5000).args == "(int that cannot be shown)"


def test_long_texts_are_cut_and_say_so() -> None:
    event = parsed(name="n" * 10_240, args="a" * 100_000)
    assert event.name is not None
    assert event.args is not None
    assert len(event.name) == MAX_NAME
    assert event.name.endswith("… (10240 characters)")
    assert len(event.args) == MAX_TEXT


def test_empty_texts_are_absent() -> None:
    assert parsed(name="", args=None).name is None


def test_lone_surrogates_are_replaced() -> None:
    assert parsed(name="caf\u00e9\ud800").name == "café?"


def test_a_task_is_not_its_own_parent() -> None:
    """Retries and Task.replace() say so."""
    assert parsed(parent_id="t1").parent_id is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2027-01-15T08:00:00", T0),
        ("2027-01-15T10:00:00+02:00", T0),
        ("soon", None),
        (5, None),
        ("\ud800", None),
        ("0001-01-01T00:00:00+23:59", 0.0),
        ("9999-12-31T23:59:59.999999-23:59", 253_402_300_799.0),
    ],
)
def test_eta(text: object, at: float | None) -> None:
    assert parsed(eta=text).eta == at


def test_free_texts_are_redacted_and_names_are_not() -> None:
    event = parse_event(
        {**RECEIVED, "name": "token:renew", "kwargs": "{'token': 'abc'}"},
        T0,
        Redactor(),
    )
    assert event is not None
    assert event.name == "token:renew"
    assert event.kwargs == "{'token': '[redacted]'}"


@pytest.mark.parametrize("key", ["requeue", "terminated"])
def test_flags_are_only_true_if_they_are(key: str) -> None:
    assert parsed(**{key: True}).flag
    assert not parsed(**{key: "yes"}).flag


# ---- progress ----------------------------------------------------------------------


def progress(**told: object) -> Progress | None:
    """Return the progress that an event with these fields tells."""
    event = parse_event({"type": "task-progress", "uuid": "t1", **told}, T0)
    assert event is not None
    return event.progress


@pytest.mark.parametrize(
    ("told", "percent"),
    [
        ({"percent": 40}, 40),
        ({"percent": 140}, 100),
        ({"percent": -1}, 0),
        ({"percent": math.nan, "current": 1, "total": 4}, 25),
        ({"current": 1, "total": 3}, 33.33),
        ({"current": 1, "total": 0}, None),
        ({"current": 1}, None),
        ({"current": 1e308, "total": 1e-308}, 100),
        ({"percent": "40"}, None),
        ({}, None),
    ],
)
def test_percent(told: dict[str, object], percent: float | None) -> None:
    shown = progress(**told)
    assert shown is not None
    assert shown.percent == percent


def test_a_message_beside_the_progress() -> None:
    assert progress(percent=1, message="row 7") == Progress(percent=1, message="row 7")


def test_other_kinds_tell_no_progress() -> None:
    assert parsed(percent=40).progress is None


# ---- anything at all -----------------------------------------------------------------

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=1 << 60)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=8)
    | st.sampled_from(["t1", "2027-01-15T08:00:00", "token=x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [*RECEIVED, "runtime", "result", "exception", "traceback", "requeue"]
PROGRESS_FIELDS = ["percent", "current", "total", "message"]
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(list(KINDS)), "uuid": st.just("t1") | junk},
    optional={
        key: junk for key in [*FIELDS, *PROGRESS_FIELDS] if key not in ("type", "uuid")
    },
)


@settings(max_examples=150, deadline=None)
@given(messages)
def test_any_junk_is_read_or_refused_and_can_be_stored_and_shown(
    told: dict[str, object],
) -> None:
    try:
        event = parse_event(told, T0, Redactor())
    except InvalidEvent:
        return
    assert event is not None
    task = merge(None, event)
    assert encode_record(task)
    assert to_json(project(task))


@pytest.mark.parametrize("recording", RECORDINGS)
def test_everything_that_real_workers_say_is_read(recording: str) -> None:
    told = [(event, parse_event(event, heard)) for event, heard in raw(recording)]
    left = {event["type"] for event, read_as in told if read_as is None}
    assert left == {
        "worker-online",
        "worker-heartbeat",
        "worker-offline",
        "myapp-checkpoint",
    }


def test_a_text_that_fits_is_left_alone() -> None:
    assert shorten("abc", 3) == "abc"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"result": None, "runtime": None}, "stopped"),
        ({"result": "None", "runtime": 0.1}, "succeeded"),
        ({"result": "None", "runtime": None}, "succeeded"),
        ({"result": None, "runtime": 0.1}, "succeeded"),
    ],
)
def test_a_killed_greenlet_has_not_succeeded(
    fields: dict[str, object], kind: str
) -> None:
    """Celery says so of one that it kills, before it says what became of it."""
    raw = {"type": "task-succeeded", "uuid": "t", "timestamp": 1.0, **fields}
    event = parse_event(raw, 2.0)
    assert event is not None
    assert event.kind == kind


class TestShortenTraceback:
    """A long traceback keeps its beginning and its end."""

    FRAME = '  File "/srv/app/x.py", line 1, in f\n    f()\n'

    def test_the_innermost_frames_and_the_exception_stay(self) -> None:
        text = "Traceback (most recent call last):\n" + self.FRAME * 1_000
        short = shorten_traceback(f"{text}ValueError: no\n")
        assert len(short) <= MAX_TRACEBACK
        assert short.startswith("Traceback")
        assert short.endswith("ValueError: no\n")
        assert f"  … ({len(text) + 15} characters) …\n{self.FRAME}" in short

    def test_the_end_begins_at_a_frame_and_not_within_a_secret(self) -> None:
        text = f"{self.FRAME}ValueError: {'x' * 2 * MAX_TRACEBACK}"
        assert shorten_traceback(text) == shorten(text, MAX_TRACEBACK)

    def test_an_event_keeps_the_end_of_its_traceback(self) -> None:
        text = f"{self.FRAME * 1_000}ValueError: password='s3cret'\n"
        failed = {"type": "task-failed", "uuid": "t", "traceback": text}
        event = parse_event(failed, T0, Redactor())
        assert event is not None
        assert str(event.traceback).endswith("ValueError: password='[redacted]'\n")

    @pytest.mark.parametrize("size", [0, 1, MAX_TRACEBACK])
    def test_a_short_one_is_kept(self, size: int) -> None:
        assert shorten_traceback("x" * size) == "x" * size
