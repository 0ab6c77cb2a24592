"""Results and events of one task, in any order: what is shown of it."""

import pytest

from herald_core.model.events.event import Event
from tests.support.model.events import T0, found, say, shown, worker
from tests.support.model.progress import step


def stored_step(at: float, percent: float) -> Event:
    """Return progress as the backend tells it."""
    told = step(at, 0, percent, host="")
    return say(
        "progress",
        0,
        at=told.at,
        source="backend",
        host="",
        pid=0,
        progress=told.progress,
    )


@pytest.mark.parametrize("kind", ["succeeded", "failed", "revoked"])
def test_an_end_that_both_tell_is_the_workers_own_word(kind: str) -> None:
    events = [*worker(f"received started {kind}", "a", 0), found(kind, 1.9)]
    image = shown(events)
    assert (image.source, image.as_of, image.conflict) == (
        "event",
        "2027-01-15T08:00:02.000Z",
        False,
    )
    assert shown(reversed(events)) == image


def test_a_result_stored_just_before_the_start_is_said_belongs_to_that_run() -> None:
    """The parent process says `started`, maybe after its child has ended the task."""
    told = [*worker("received started", "a", 0), found("succeeded", 0.99)]
    assert shown(told).state == "SUCCESS"


def test_a_result_stored_before_a_run_was_received_is_of_another_run() -> None:
    run = worker("received started", "a", 0)
    assert shown([*run, found("failed", -0.01, host="a")]).state == "STARTED"
    assert shown([*run, found("failed", -1.01)]).state == "STARTED"


@pytest.mark.parametrize("host", ["", "a"])
def test_an_end_is_kept_though_it_was_heard_before_its_run(host: str) -> None:
    """Results and events come by two connections, of which each may be slow."""
    stored = found("succeeded", 1.9, host=host, arrived_at=T0 + 2)
    run = [
        say(one.kind, one.clock, at=one.at, host="a", arrived_at=T0 + 2.5)
        for one in worker("received started succeeded", "a", 0)
    ]
    for heard in range(len(run) + 1):
        assert shown([stored, *run[:heard]]).state == "SUCCESS"


def test_the_backend_tells_why_a_task_was_revoked() -> None:
    told = [
        *worker("received started revoked!", "a", 0),
        found("revoked", 1.9, exception="TaskRevokedError('terminated')"),
    ]
    assert shown(told).exception == "TaskRevokedError('terminated')"


def test_a_retry_of_the_attempt_before_does_not_stop_this_one() -> None:
    """The backend keeps RETRY while the next attempt runs, and is asked late."""
    told = [
        *worker("received started retried", "a", 0),
        *worker("received:1 started", "b", 3),
        found("retried", 60),
    ]
    assert shown(told).state == "STARTED"
    assert shown([*told, found("retried", 61, retries=1)]).state == "RETRY"


def test_a_start_of_the_attempt_before_does_not_start_this_one() -> None:
    told = [*worker("received:1", "b", 3), found("started", 60, retries=0)]
    assert shown(told).state == "RETRY"


def test_what_tells_of_progress_runs() -> None:
    image = shown([stored_step(5, 40)])
    assert (image.state, image.source) == ("STARTED", "backend")
    assert image.progress is not None
    assert image.progress.percent == 40


def test_progress_after_a_retry_that_only_the_backend_tells() -> None:
    told = [stored_step(1, 40), found("retried", 2), stored_step(3, 10)]
    image = shown(told)
    assert image.state == "STARTED"
    assert image.progress is not None
    assert image.progress.percent == 10


def test_progress_does_not_reopen_what_is_over() -> None:
    told = [stored_step(5, 40), found("succeeded", 4)]
    assert shown(told).state == "SUCCESS"


def test_who_ran_a_task_of_which_no_event_was_heard() -> None:
    image = shown([found("succeeded", 9, host="a", pid=7)])
    assert (image.worker, image.pid) == ("a", 7)


def test_a_task_is_of_the_group_that_was_stored_last() -> None:
    """Celery may run a task twice, in two groups (a chord whose header failed)."""
    told = [
        say("sent", 1),
        found("failed", 5, group_id="z"),
        found("failed", 9, group_id="a"),
    ]
    for events in (told, told[::-1]):
        assert shown(events).group_id == "a"


def test_the_sender_is_believed_before_the_backend() -> None:
    told = [
        say("sent", 1, args="(1,)", at=T0),
        found("succeeded", 9, args="[1]", group_id="g"),
    ]
    image = shown(told)
    assert (image.args, image.group_id) == ("(1,)", "g")
