"""Several workers, skewed clocks, redelivery, and what asking finds out."""

import pytest

from herald_monitor.model.events import Event, Progress
from herald_monitor.model.reading import attempts
from tests.unit.model.words import T0, known, say, shown


def worker(
    words: str,
    host: str,
    begun: float,
    *,
    skew: float = 0.0,
    clock: int = 1,
    pid: int = 1,
) -> list[Event]:
    """Return what `host` says each second from `begun` on, by its clock."""
    told: list[Event] = []
    for i, word in enumerate(words.split()):
        heard = T0 + begun + i
        said = heard + skew
        own = said if said > heard else None
        at = min(said, heard)
        told.append(
            say(word, clock + i, host=host, pid=pid, at=at, heard=heard, said=own)
        )
    return told


def found(kind: str, at: float, source: str = "backend", **more: object) -> Event:
    """Return what asking finds out."""
    return say(
        kind, 0, **{"at": T0 + at, "source": source, "host": "", "pid": 0} | more
    )


SKEWS = [-300.0, -60.0, 0.0, 60.0, 300.0]
skew_of_a = pytest.mark.parametrize("a", SKEWS)
skew_of_b = pytest.mark.parametrize("b", SKEWS)

# ---- two workers --------------------------------------------------------------


@skew_of_a
@skew_of_b
def test_a_retry_on_another_worker(a: float, b: float) -> None:
    told = [
        *worker("received started retried", "a", 0, skew=a),
        *worker("received:1 started succeeded", "b", 5, skew=b),
    ]
    image = shown(told)
    assert (image.state, image.attempt, image.worker) == ("SUCCESS", 2, "b")


@skew_of_a
@skew_of_b
def test_redelivery_after_the_first_worker_died(a: float, b: float) -> None:
    told = [
        *worker("received started", "a", 0, skew=a),
        *worker("received started succeeded", "b", 90, skew=b),
    ]
    image = shown(told)
    assert (image.state, image.worker, image.conflict) == ("SUCCESS", "b", False)


@skew_of_a
@skew_of_b
def test_a_redelivery_that_succeeds_after_a_failure(a: float, b: float) -> None:
    told = [
        *worker("received started failed", "a", 0, skew=a),
        *worker("received started succeeded", "b", 90, skew=b),
    ]
    assert shown(told).state == "SUCCESS"


@skew_of_a
@skew_of_b
def test_a_long_run_is_delivered_again_while_it_goes_on(a: float, b: float) -> None:
    """Redis' visibility timeout: both runs go on, the first to succeed counts."""
    first = worker("received started", "a", 0, skew=a)
    again = worker("received started", "b", 85, skew=b)
    assert shown([*first, *again]).state == "STARTED"
    ended = worker("succeeded", "a", 130, skew=a, clock=3)
    assert shown([*first, *again, *ended]).state == "SUCCESS"
    late = worker("failed", "b", 200, skew=b, clock=3)
    image = shown([*first, *again, *ended, *late])
    assert image.state == "SUCCESS"


def test_a_second_run_is_shown_while_it_lasts() -> None:
    told = [
        *worker("received started succeeded", "a", 0),
        *worker("received started", "b", 90),
    ]
    image = shown(told)
    assert (image.state, image.attempt, image.final) == ("STARTED", 2, False)
    states = [one.state for one in attempts(known(told))]
    assert states == ["SUCCESS", "STARTED"]


def test_a_success_is_not_taken_back_by_a_second_run_that_fails() -> None:
    """Celery's result backends keep it too; the contradiction is shown."""
    told = [
        *worker("received started succeeded", "a", 0),
        *worker("received started failed", "b", 90),
    ]
    image = shown(told)
    assert (image.state, image.attempt, image.conflict) == ("SUCCESS", 1, True)


def test_a_copy_that_is_revoked_does_not_stop_the_one_that_runs() -> None:
    running = worker("received started", "a", 0)
    copy = worker("received revoked", "b", 50)
    assert shown([*running, *copy]).state == "STARTED"


def test_a_copy_in_another_workers_hands_changes_nothing() -> None:
    told = [*worker("received started", "a", 0), *worker("received", "b", 50)]
    image = shown(told)
    assert (image.state, image.worker) == ("STARTED", "a")


def test_a_message_handed_back_lies_with_who_received_it_since() -> None:
    told = [*worker("received started rejected!", "a", 0), *worker("received", "b", 9)]
    image = shown(told)
    assert (image.state, image.worker, image.attempt) == ("RECEIVED", "b", 2)


def test_a_copy_that_waits_is_shown_once_all_else_is_handed_back() -> None:
    told = [*worker("received", "b", 0), *worker("received started rejected!", "a", 5)]
    assert shown(told).state == "PENDING"


def test_prefetched_tasks_go_to_the_next_worker() -> None:
    told = [*worker("received", "a", 0), *worker("received", "b", 9)]
    image = shown(told)
    assert (image.state, image.worker, image.attempt) == ("RECEIVED", "b", 2)


def test_all_copies_revoked_before_they_ran() -> None:
    told = [*worker("received revoked", "a", 0), *worker("received", "b", 9)]
    assert shown(told).state == "REVOKED"


# ---- one worker, restarted ----------------------------------------------------


def test_a_restarted_container_has_its_old_pid_and_a_new_clock() -> None:
    told = [
        *worker("received started", "a", 0, clock=20),
        *worker("received started failed", "a", 60, clock=3),
    ]
    image = shown(told)
    assert (image.state, image.attempt) == ("FAILURE", 2)


def test_a_restarted_container_may_say_the_same_at_the_same_clock() -> None:
    told = [
        *worker("received started", "a", 0, clock=3),
        *worker("received started succeeded", "a", 60, clock=3),
    ]
    image = shown(told)
    assert (image.state, image.attempt) == ("SUCCESS", 2)
    assert image.started_at == "2027-01-15T08:01:01.000Z"


def test_a_clock_that_is_set_back_does_not_confuse_a_run() -> None:
    told = [
        say("received", 20, at=T0),
        say("started", 21, at=T0 + 1),
        say("succeeded", 22, at=T0 - 30, heard=T0 + 2),
    ]
    assert shown(told).state == "SUCCESS"


def test_events_without_a_clock_keep_the_order_of_their_kinds() -> None:
    told = [
        say("succeeded", 0, at=T0 + 9),
        say("started", 0, at=T0 + 2),
        say("received", 0, at=T0 + 1),
    ]
    assert shown(told).state == "SUCCESS"


# ---- which attempt, where `received` was lost ---------------------------------


def test_the_start_after_a_retry_elsewhere_is_the_next_attempt() -> None:
    told = [
        *worker("received started retried", "a", 0),
        *worker("started succeeded", "b", 5),
    ]
    image = shown(told)
    assert (image.state, image.retries) == ("SUCCESS", 1)


def test_a_run_that_ended_in_a_retry_is_the_attempt_before() -> None:
    told = [
        *worker("started retried", "a", 0),
        *worker("received:1 started succeeded", "b", 5, skew=-60),
    ]
    image = shown(told)
    assert (image.state, image.retries, image.attempt) == ("SUCCESS", 1, 2)


def test_an_outcome_is_of_the_last_attempt_that_was_sent() -> None:
    told = [
        *worker("sent sent:1", "client", 0),
        *worker("received started", "a", 0),
        *worker("succeeded", "b", 9),
    ]
    image = shown(told)
    assert (image.state, image.retries) == ("SUCCESS", 1)


def test_a_start_nobody_received_takes_the_first_attempt_that_is_open() -> None:
    told = [*worker("sent", "client", 0), *worker("started", "b", 9)]
    image = shown(told)
    assert (image.state, image.retries, image.attempt) == ("STARTED", 0, 1)


def test_a_start_elsewhere_without_a_retry_is_a_redelivery() -> None:
    told = [*worker("received started", "a", 0), *worker("started", "b", 90)]
    image = shown(told)
    assert (image.state, image.retries, image.attempt) == ("STARTED", 0, 2)


def test_a_run_before_a_known_one_of_its_worker_is_an_earlier_attempt() -> None:
    told = worker("started received:2 started succeeded", "a", 0)
    assert [one.retries for one in attempts(known(told))] == [1, 2]


def test_a_lone_retry_after_a_known_one_is_a_second_delivery() -> None:
    told = [*worker("received started", "a", 0), *worker("started retried", "b", 90)]
    assert [one.retries for one in attempts(known(told))] == [0, 0]


def test_the_first_sending_of_an_attempt_counts() -> None:
    told = [
        say("sent", 9, at=T0 + 9),
        say("sent", 1, at=T0 + 1),
        say("received", 2, at=T0 + 2),
    ]
    assert shown(told).submitted_at == "2027-01-15T08:00:01.000Z"


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


def test_events_lend_a_result_from_the_backend_their_details() -> None:
    told = [
        *worker("received started", "a", 0),
        say("succeeded", 3, host="a", at=T0 + 3, runtime=1.5, result="42"),
        found("succeeded", 3.5),
    ]
    image = shown(told)
    assert (image.source, image.result, image.runtime) == ("backend", "42", 1.5)


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


def step(at: float, clock: int, value: float, host: str = "a") -> Event:
    """Return a word of progress."""
    done = Progress(percent=value)
    return say("progress", clock, at=T0 + at, host=host, pid=9, progress=done)


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
