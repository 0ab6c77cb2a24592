"""Sequences of events, and what they come to: state, attempt, conflict."""

from itertools import permutations

import pytest

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import list_attempts
from tests.support.model.events import known, say, shown, story

ONE_WORKER = [
    # ---- Celery's own state machine fails these (what `State` says, and should)
    ("started succeeded retried", "SUCCESS", 1, False),
    ("started succeeded failed", "SUCCESS", 1, True),
    ("received started succeeded started", "STARTED", 2, False),
    ("received started succeeded received started", "STARTED", 2, False),
    ("received started succeeded received", "SUCCESS", 1, False),
    ("received started failed received started succeeded", "SUCCESS", 2, False),
    ("received started cancelled received started", "STARTED", 2, False),
    ("received started progress revoked!", "REVOKED", 1, False),
    ("started", "STARTED", 1, False),
    ("received started rejected!", "PENDING", 2, False),
    ("received started failed received started", "STARTED", 2, False),
    # ---- one attempt
    ("sent", "PENDING", 1, False),
    ("sent received", "RECEIVED", 1, False),
    ("sent received started succeeded", "SUCCESS", 1, False),
    ("sent received started failed", "FAILURE", 1, False),
    ("sent failed", "FAILURE", 1, False),
    ("sent revoked", "REVOKED", 1, False),
    ("sent received revoked", "REVOKED", 1, False),
    ("sent received started revoked!", "REVOKED", 1, False),
    ("received progress started progress", "STARTED", 1, False),
    ("received started progress progress succeeded", "SUCCESS", 1, False),
    ("received started rejected", "REJECTED", 1, False),
    ("succeeded", "SUCCESS", 1, False),
    ("progress", "PENDING", None, False),
    # ---- one end told twice
    ("received started failed failed", "FAILURE", 1, False),
    ("received started failed rejected", "FAILURE", 1, False),
    ("received started rejected failed", "FAILURE", 1, False),
    # ---- retries
    ("sent received started sent:1 received:1 retried", "RETRY", 2, False),
    ("received started received:1 retried started succeeded", "SUCCESS", 2, False),
    ("received started received:1 started retried succeeded", "SUCCESS", 2, False),
    ("received started received:1 started retried failed", "FAILURE", 2, False),
    ("received started retried received:1 started failed", "FAILURE", 2, False),
    ("received started retried received:1 revoked", "REVOKED", 2, False),
    ("received started received:1 revoked", "REVOKED", 2, False),
    ("received started sent:1", "RETRY", 2, False),
    ("received started retried", "RETRY", 1, False),
    ("received started received:1", "RETRY", 2, False),
    # ---- handed back
    ("received started rejected! received started succeeded", "SUCCESS", 2, False),
    ("received started rejected! received", "RECEIVED", 2, False),
    ("received started cancelled", "RETRY", 1, False),
    ("received started cancelled received started succeeded", "SUCCESS", 2, False),
    # ---- Task.replace(): the first run ends without a word
    ("received started sent received started succeeded", "SUCCESS", 2, False),
    # ---- a worker that never said `received`
    ("started retried started succeeded", "SUCCESS", 2, False),
    ("started retried succeeded", "SUCCESS", 2, False),
    ("started retried received:1 started", "STARTED", 2, False),
    # ---- a copy of the message waits beside the one that runs
    ("received received", "RECEIVED", 1, False),
    ("received received started", "STARTED", 1, False),
    ("received received started succeeded", "SUCCESS", 1, False),
    ("received started succeeded received started failed", "SUCCESS", 2, True),
    ("received started failed received revoked", "FAILURE", 1, False),
    # ---- losses in the midst
    ("received started started succeeded", "SUCCESS", 2, False),
    ("received started received:1 succeeded", "SUCCESS", 2, False),
    ("received received:1 retried succeeded", "SUCCESS", 2, False),
    ("received started failed received succeeded", "SUCCESS", 2, False),
    ("received started received:1 started started succeeded", "SUCCESS", 3, False),
]


@pytest.mark.parametrize(("words", "state", "attempt", "conflict"), ONE_WORKER)
def test_sequence(words: str, state: str, attempt: int | None, conflict: bool) -> None:
    image = shown(story(words))
    assert (image.state, image.attempt, image.conflict) == (state, attempt, conflict)


@pytest.mark.parametrize(("words", "state", "attempt", "conflict"), ONE_WORKER)
def test_sequence_backwards(
    words: str, state: str, attempt: int | None, conflict: bool
) -> None:
    image = shown(reversed(story(words)))
    assert (image.state, image.attempt, image.conflict) == (state, attempt, conflict)


def test_all_orders_of_a_retried_task_end_in_success() -> None:
    told = story("received started retried received:1 started succeeded")
    whole = known(told)
    assert len(list_attempts(whole)) == 2
    for order in permutations(told):
        image = shown(order)
        assert (image.state, image.attempt) == ("SUCCESS", 2)
        assert known(order) == whole


def test_the_exception_of_a_failed_attempt_stays_with_it() -> None:
    told = [
        *story("received started"),
        say("failed", 3, exception="ValueError()", traceback="…"),
        *story("received started", clock=4),
        say("succeeded", 6, result="42"),
    ]
    image = shown(told)
    assert (image.result, image.exception, image.traceback) == ("42", None, None)
    first, second = list_attempts(known(told))
    assert (first.state, first.exception) == ("FAILURE", "ValueError()")
    assert (second.state, second.exception) == ("SUCCESS", None)


def test_a_task_that_waits_for_its_retry_says_why() -> None:
    told = [
        *story("received started received:1"),
        say("retried", 4, exception="Retry(boom)"),
    ]
    image = shown(told)
    assert (image.state, image.exception, image.final) == (
        "RETRY",
        "Retry(boom)",
        False,
    )
    assert image.finished_at is None


def test_a_second_outcome_lies_beside_the_first() -> None:
    told: list[Event] = [
        *story("received started"),
        say("succeeded", 3, result="42"),
        say("failed", 5, exception="no"),
    ]
    image = shown(told)
    assert (image.state, image.result, image.conflict) == ("SUCCESS", "42", True)
    assert image.exception is None
