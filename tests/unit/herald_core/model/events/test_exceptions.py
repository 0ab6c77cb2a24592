"""The exception that is shown: the most telling of event, traceback and backend."""

import itertools

import msgspec
import pytest

from herald_core.model.events.event import MAX_TEXT, Event, parse_event
from herald_core.model.events.event_fast import DecodedEvent, normalize
from herald_core.model.events.exceptions import (
    format_exception,
    is_named,
    name_exception,
    read_traceback,
)
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, merge
from herald_monitor.ingest.consumers.envelope import decode_fast
from tests.support.model.events import found, say

FRAMES = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
WRAPPED = "ExceptionWithTraceback()"
LOST = "Worker exited prematurely: signal 9 (SIGKILL) Job: 2."
GROUP = (
    "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "a.py", line 1, in f\n'
    "  | ExceptionGroup: two (2 sub-exceptions)\n"
    "  +-+---------------- 1 ----------------\n"
    "    | ValueError: a\n"
    "    +------------------------------------\n"
)


@pytest.mark.parametrize(
    ("text", "traceback", "named"),
    [
        (
            WRAPPED,
            f"{FRAMES}billiard.exceptions.WorkerLostError: {LOST}\n",
            f"WorkerLostError({LOST!r})",
        ),
        (
            WRAPPED,
            f"{FRAMES}billiard.exceptions.TimeLimitExceeded: TimeLimitExceeded(1,)\n",
            "TimeLimitExceeded(1)",
        ),
        (
            WRAPPED,
            f"{FRAMES}billiard.exceptions.SoftTimeLimitExceeded: "
            "SoftTimeLimitExceeded()\n",
            "SoftTimeLimitExceeded()",
        ),
        (
            WRAPPED,
            f"{FRAMES}celery.exceptions.Reject: ('no good', False)\n",
            "Reject('no good', False)",
        ),
        (WRAPPED, f"{FRAMES}KeyError: 'k'\n", "KeyError('k')"),
        (WRAPPED, f"{FRAMES}shop.Odd\n", "Odd()"),
        (WRAPPED, f"{FRAMES}shop.f.<locals>.In: x\n", "In('x')"),
        (
            WRAPPED,
            f"{FRAMES}ValueError: two\n\nlines: 2\n",
            "ValueError('two\\n\\nlines: 2')",
        ),
        (WRAPPED, GROUP, "ExceptionGroup('two (2 sub-exceptions)')"),
        (
            WRAPPED,
            f"{FRAMES}KeyError: 'k'\n\nDuring …\n\n{FRAMES}OSError: e\n",
            "OSError('e')",
        ),
        # An exception whose `repr` fails is told by its message alone.
        ("b", f"{FRAMES}proj.BadRepr: b\n", "BadRepr('b')"),
        # What names its type already stays as it is.
        ("<BadRepr 3>", f"{FRAMES}proj.BadRepr: b\n", "<BadRepr 3>"),
        (
            "reject requeue=False: x",
            f"{FRAMES}celery.exceptions.Reject: x\n",
            "reject requeue=False: x",
        ),
        (
            "Nope('x')",
            f"{FRAMES}celery.utils.serialization.UnpickleableExceptionWrapper: "
            "Nope('x')\n",
            "Nope('x')",
        ),
        # Pools of threads tell a retry by the exception that carries it.
        (
            "Retry(Retry(...), ValueError('again'), 0)",
            f"{FRAMES}celery.exceptions.Retry: Retry in 0s: ValueError('again')\n",
            "ValueError('again')",
        ),
        (
            "Retry(Retry(...), None, 0)",
            f"{FRAMES}celery.exceptions.Retry: Retry in 0s\n",
            "Retry(Retry(...), None, 0)",
        ),
        (WRAPPED, "", WRAPPED),
        (WRAPPED, None, WRAPPED),
        (WRAPPED, "no traceback at all", WRAPPED),
    ],
)
def test_a_traceback_names_what_a_placeholder_hides(
    text: str, traceback: object, named: str
) -> None:
    assert name_exception(text, traceback) == named


def test_usual_exceptions_are_named() -> None:
    assert is_named("ValueError('no')")
    assert not any(map(is_named, ["", "b", "(", ")", WRAPPED, "<Odd 3>"]))


def test_a_traceback_without_an_exception_tells_none() -> None:
    assert read_traceback(FRAMES) is None
    assert read_traceback("") is None
    assert read_traceback("  + Exception Group Traceback") is None


RAW = {
    "type": "task-failed",
    "uuid": "t",
    "timestamp": 5.0,
    "hostname": "h",
    "exception": WRAPPED,
    "traceback": f"{FRAMES}billiard.exceptions.WorkerLostError: {LOST}\n",
}


def test_an_event_tells_it_whichever_way_it_is_read() -> None:
    long = parse_event(RAW, 9.0)
    spoken = decode_fast(msgspec.json.encode(RAW))
    assert spoken is not None
    [said] = spoken
    assert isinstance(said, DecodedEvent)
    short = normalize(said, 9.0, str)
    assert long is not None
    assert long.exception == short.exception == f"WorkerLostError({LOST!r})"


def test_a_traceback_that_is_cut_names_it_all_the_same() -> None:
    frames = FRAMES + '  File "b.py", line 2, in g\n' * 2_000
    event = parse_event(
        {**RAW, "traceback": f"{frames}ValueError: {'y' * 20_000}\n"}, 9.0
    )
    assert event is not None
    assert event.exception is not None
    assert event.exception.startswith("ValueError('yyy")
    assert len(event.exception) == MAX_TEXT


def shown(*events: Event) -> tuple[object, ...]:
    """Return what is shown of the outcome, which no order of hearing alters."""
    told: set[tuple[object, ...]] = set()
    for order in itertools.permutations(events):
        task: Task | None = None
        for event in order:
            task = merge(task, event)
        assert task is not None
        image = project(task)
        told.add((image.state, image.result, image.exception, image.traceback))
    [one] = told
    return one


BEGUN = [say("received", 1, retries=0), say("started", 2)]


def test_the_backend_tells_what_an_event_leaves_out() -> None:
    ended = say("failed", 3, exception=None, traceback=None)
    stored = found("failed", 3, exception="ValueError('x')", traceback="tb")
    assert shown(*BEGUN, ended, stored) == ("FAILURE", None, "ValueError('x')", "tb")


def test_the_event_tells_what_the_backend_leaves_out() -> None:
    ended = say("failed", 3, exception="TimeLimitExceeded(1)", traceback="tb")
    stored = found("failed", 3, exception="TimeLimitExceeded(1)")
    assert shown(*BEGUN, ended, stored) == (
        "FAILURE",
        None,
        "TimeLimitExceeded(1)",
        "tb",
    )


@pytest.mark.parametrize(
    ("told", "stored", "right"),
    [
        ("['a', ...]", "['a', 'b', 'c']", "['a', 'b', 'c']"),
        ("'wait...'", "'wait...'", "'wait...'"),
        ("['a', ...]", "(truncated, 300000 bytes)", "['a', ...]"),
        (None, "3", "3"),
        ("None", "None", "None"),
        # JSON has made a list of it.
        ("(1, 2)", "[1, 2]", "(1, 2)"),
    ],
)
def test_a_result_that_the_event_cut_is_shown_whole(
    told: str | None, stored: str, right: str
) -> None:
    ended = say("succeeded", 3, result=told)
    state, result, *_ = shown(*BEGUN, ended, found("succeeded", 3, result=stored))
    assert (state, result) == ("SUCCESS", right)


def test_what_was_stored_of_an_earlier_end_is_left_out() -> None:
    ended = say("failed", 60, exception="OSError()", traceback=None)
    stored = found("failed", 1, exception="ValueError('x')", traceback="old")
    task = merge(merge(None, ended), stored)
    image = project(task)
    assert (image.exception, image.traceback) == ("OSError()", None)


def test_a_wrapped_exception_is_spelled_as_its_message() -> None:
    name = "UnpickleableExceptionWrapper"
    assert format_exception(name, "ValueError('x')") == "ValueError('x')"
