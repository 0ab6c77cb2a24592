"""Several workers, skewed clocks, redelivery, restarts, lost `received`."""

import pytest

from herald_core.model.tasks.deliveries import to_latest_arrival
from herald_core.model.tasks.projection import list_attempts
from tests.support.model.events import SKEWS, T0, known, say, shown, worker

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
    states = [one.state for one in list_attempts(known(told))]
    assert states == ["SUCCESS", "STARTED"]


def test_a_success_is_not_taken_back_by_a_second_run_that_fails() -> None:
    """Celery's result backends keep it too; the contradiction is shown."""
    told = [
        *worker("received started succeeded", "a", 0),
        *worker("received started failed", "b", 90),
    ]
    image = shown(told)
    assert (image.state, image.attempt, image.conflict) == ("SUCCESS", 2, True)


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
    """Nobody has begun it, so it is the first attempt still."""
    told = [*worker("received", "a", 0), *worker("received", "b", 9)]
    image = shown(told)
    assert (image.state, image.worker, image.attempt) == ("RECEIVED", "b", 1)


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
        say("succeeded", 22, at=T0 - 30, arrived_at=T0 + 2),
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
    assert [one.retries for one in list_attempts(known(told))] == [1, 2]


def test_a_lone_retry_after_a_known_one_is_a_second_delivery() -> None:
    told = [*worker("received started", "a", 0), *worker("started retried", "b", 90)]
    assert [one.retries for one in list_attempts(known(told))] == [0, 0]


def test_the_first_sending_of_an_attempt_counts() -> None:
    told = [
        say("sent", 9, at=T0 + 9),
        say("sent", 1, at=T0 + 1),
        say("received", 2, at=T0 + 2),
    ]
    assert shown(told).submitted_at == "2027-01-15T08:00:01.000Z"


@pytest.mark.parametrize(("late", "latest"), [(0, 10.5), (3, 14.0), (-1_500, 12.001)])
def test_the_latest_hearing_of_a_mark_is_bounded(late: int, latest: float) -> None:
    assert to_latest_arrival(10.5, late) == latest
