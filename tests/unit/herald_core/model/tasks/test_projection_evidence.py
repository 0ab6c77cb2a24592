"""What asking the result backend and the workers finds out, and what is shown
beside the state.
"""

import pytest

from herald_core.model.events.event import Event
from tests.support.model.events import SKEWS, T0, found, say, shown, worker
from tests.support.model.progress import step

skew_of_a = pytest.mark.parametrize("a", SKEWS)

# ---- what asking finds out ----------------------------------------------------


def test_the_backend_ends_what_events_left_open() -> None:
    told = [*worker("received started", "a", 0), found("succeeded", 9, result="42")]
    image = shown(told)
    assert (image.state, image.source, image.result) == ("SUCCESS", "backend", "42")
    assert image.finished_at == "2027-01-15T08:00:09.000Z"
    assert image.as_of == image.finished_at


def test_the_backend_is_believed_before_the_events() -> None:
    told = [
        *worker("received started failed", "a", 0),
        found("succeeded", 9, result="42"),
    ]
    image = shown(told)
    assert (image.state, image.conflict) == ("SUCCESS", True)


def test_the_backend_alone_tells_of_a_task_nobody_heard_of() -> None:
    image = shown([found("failed", 9, exception="no", name="x")])
    assert (image.state, image.exception, image.name) == ("FAILURE", "no", "x")
    assert (image.attempt, image.worker) == (None, None)


def test_an_old_result_does_not_end_a_second_run() -> None:
    told = [found("failed", -50), *worker("received started", "a", 0)]
    assert shown(told).state == "STARTED"


@pytest.mark.parametrize("words", ["received started succeeded", "received succeeded"])
def test_an_old_result_does_not_outweigh_the_end_of_a_second_run(words: str) -> None:
    told = [found("failed", -50), *worker(words, "a", 0)]
    image = shown(told)
    assert (image.state, image.conflict) == ("SUCCESS", False)


def test_an_old_result_stands_while_a_copy_merely_waits() -> None:
    told = [found("failed", -50), *worker("received", "a", 0)]
    assert shown(told).state == "FAILURE"


def test_a_result_that_the_backend_confirms_stays_the_workers_word() -> None:
    told = [
        *worker("received started", "a", 0),
        say("succeeded", 3, host="a", at=T0 + 3, runtime=1.5, result="42"),
        found("succeeded", 3.5),
    ]
    image = shown(told)
    assert (image.source, image.result, image.runtime) == ("event", "42", 1.5)


def test_a_result_may_be_stored_before_its_worker_says_that_it_started() -> None:
    """The child stores it, the parent process says so."""
    told = [*worker("received started", "a", 0), found("succeeded", 0.9)]
    assert shown(told).state == "SUCCESS"


@pytest.mark.parametrize(
    ("retries", "kind", "state"),
    [
        (None, "retried", "STARTED"),
        (0, "retried", "STARTED"),
        (1, "retried", "RETRY"),
        (0, "started", "STARTED"),
        (None, "started", "STARTED"),
    ],
)
def test_the_backend_keeps_the_retry_of_the_attempt_before(
    retries: int | None, kind: str, state: str
) -> None:
    told = [
        *worker("received started retried received:1 started", "a", 0),
        found(kind, 60, retries=retries),
    ]
    assert shown(told).state == state


def test_a_runtime_that_is_not_told_is_counted_on_one_worker() -> None:
    told = worker("received started failed", "a", 0)
    assert shown(told).runtime == 1.0


def test_a_runtime_is_not_counted_across_two_clocks() -> None:
    told = [*worker("received started", "a", 0), found("succeeded", 9)]
    assert shown(told).runtime is None


@pytest.mark.parametrize(
    ("heard", "kind", "state"),
    [
        ("sent", "received", "RECEIVED"),
        ("sent", "started", "STARTED"),
        ("received", "started", "STARTED"),
        ("received started", "received", "STARTED"),
        ("received started succeeded", "started", "SUCCESS"),
        ("received started", "retried", "RETRY"),
        ("received started", "rejected", "STARTED"),
    ],
)
def test_workers_that_are_asked_never_take_a_state_back(
    heard: str, kind: str, state: str
) -> None:
    told = [*worker(heard, "a", 0), found(kind, 50, "inspect", host="a")]
    assert shown(told).state == state


def test_an_answer_that_is_older_than_the_event_changes_nothing() -> None:
    told = [*worker("received", "a", 10), found("started", 5, "inspect", host="a")]
    assert shown(told).state == "RECEIVED"


def test_a_task_is_lost_until_a_word_of_it_arrives() -> None:
    running = worker("received started", "a", 0)
    lost = found("lost", 100, "inferred")
    image = shown([*running, lost])
    assert (image.state, image.source, image.final) == ("LOST", "inferred", False)


@skew_of_a
@pytest.mark.parametrize("word", ["progress", "started", "received"])
def test_any_word_ends_lost_whatever_its_clock_says(word: str, a: float) -> None:
    told = [
        *worker("received", "b", 0),
        found("lost", 100, "inferred"),
        *worker(word, "a", 200, skew=a, clock=7),
    ]
    assert shown(told).state != "LOST"


def test_a_lost_task_that_a_worker_is_found_to_run_is_started() -> None:
    told = [found("lost", 1, "inferred"), found("started", 2, "inspect", host="a")]
    assert shown(told).state == "STARTED"


def test_a_lost_task_that_ended_after_all_has_ended() -> None:
    told = [
        *worker("received started", "a", 0),
        found("lost", 100, "inferred"),
        found("succeeded", 90),
    ]
    assert shown(told).state == "SUCCESS"


# ---- what is shown beside the state -------------------------------------------


def percent(told: list[Event]) -> float | None:
    """Return the progress that is shown."""
    progress = shown(told).progress
    return progress.percent if progress else None


def test_the_newest_progress_is_shown() -> None:
    told = [*worker("received started", "a", 0), step(3, 9, 70), step(2, 8, 30)]
    assert percent(told) == 70


def test_progress_may_be_heard_before_the_start() -> None:
    told = [*worker("received", "a", 0), step(0.5, 9, 10)]
    assert percent(told) is None
    assert percent([*told, *worker("started", "a", 1, clock=2)]) == 10


def test_progress_of_the_attempt_before_is_not_shown() -> None:
    told = [
        *worker("received started retried", "a", 0),
        step(1.5, 9, 90),
        *worker("received:1 started", "a", 5, clock=5),
    ]
    assert percent(told) is None


def test_progress_of_another_run_is_not_shown() -> None:
    told = [
        *worker("received started", "a", 0),
        *worker("received started", "b", 90),
        step(95, 9, 90, host="a"),
    ]
    assert percent(told) is None


def test_progress_from_the_backend_names_no_worker() -> None:
    told = [*worker("received started", "a", 0), step(5, 0, 40, host="")]
    assert percent(told) == 40


def test_the_start_of_an_attempt_that_waits_is_not_shown() -> None:
    told = [
        say("sent", 1, eta=T0 + 60, expires=T0 + 90),
        say("received", 2, eta=T0 + 61),
    ]
    image = shown(told)
    assert image.eta == "2027-01-15T08:01:01.000Z"
    assert image.expires == "2027-01-15T08:01:30.000Z"
    assert (image.started_at, image.finished_at) == (None, None)


def test_a_task_that_herald_sent_is_pending_by_its_own_word() -> None:
    told = [
        say("sent", 0, source="submitted", host="", pid=0, name="x", tags=("a", "b"))
    ]
    image = shown(told)
    assert (image.state, image.source, image.worker) == ("PENDING", "submitted", None)
    assert image.tags == ("a", "b")


# ---- a worker that confirmed a cancel ------------------------------------------


def test_a_worker_that_confirmed_a_cancel_lets_nothing_end() -> None:
    """Threads tell a start of what they then never run."""
    waits = worker("received", "a", 0)
    confirmed = found("revoked", 2, source="inspect", host="a")
    starts = say("started", 9, host="a", at=T0 + 9)
    assert shown([*waits, confirmed]).state == "REVOKED"
    image = shown([*waits, starts, confirmed])
    assert (image.state, image.final) == ("REVOKED", True)


def test_what_another_worker_confirmed_says_nothing_of_a_run() -> None:
    told = [
        *worker("received started", "a", 0),
        found("revoked", 9, source="inspect", host="b"),
    ]
    assert shown(told).state == "STARTED"


def test_a_run_that_came_to_the_worker_later_is_another() -> None:
    confirmed = found("revoked", 2, source="inspect", host="a")
    assert shown([confirmed, *worker("received started", "a", 60)]).state == "STARTED"


def test_an_outcome_outweighs_a_confirmed_cancel() -> None:
    told = [
        *worker("received started succeeded", "a", 0),
        found("revoked", 1, source="inspect", host="a"),
    ]
    assert shown(told).state == "SUCCESS"
