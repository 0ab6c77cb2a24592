"""Lost, and found again: what is shown, and until when."""

import msgspec
import pytest

from herald_core.model.events.event import Event
from herald_core.model.rollups.rollup_delta import count_task
from herald_core.model.tasks.past_deliveries import PastDeliveries
from herald_core.model.tasks.projection import project
from tests.support.model.events import T0, found, known, say, shown, worker

WHY = "worker a, which ran it, has been silent for 61 s"
RUNNING = worker("received started", "a", 0)


def lost(at: float, why: str = WHY, host: str = "a") -> Event:
    """Return Herald's own word that the task is lost."""
    return found("lost", at, "inferred", host=host, exception=why)


def test_the_reason_is_shown_as_long_as_it_is_lost() -> None:
    image = shown([*RUNNING, lost(100)])
    assert (image.state, image.reason, image.worker) == ("LOST", WHY, "a")
    assert image.exception is None
    again = worker("started", "a", 110, clock=9)
    assert shown([*RUNNING, lost(100), *again]).reason is None


@pytest.mark.parametrize(
    ("kind", "state"), [("received", "RECEIVED"), ("started", "STARTED")]
)
def test_who_is_found_to_have_it_is_shown(kind: str, state: str) -> None:
    there = found(kind, 110, "inspect", host="b")
    image = shown([*RUNNING, lost(100), there])
    assert (image.state, image.worker, image.source) == (state, "b", "inspect")


def test_it_can_be_lost_a_second_time() -> None:
    told = [*RUNNING, lost(100), *worker("received started", "b", 110)]
    assert shown(told).state == "STARTED"
    image = shown([*told, lost(300, "again", "b")])
    assert (image.state, image.reason, image.worker) == ("LOST", "again", "b")
    image = shown([*told, lost(300, WHY, "b"), *worker("succeeded", "b", 310, clock=9)])
    assert (image.state, image.final, image.reason) == ("SUCCESS", True, None)


def test_one_that_was_only_ever_found_can_be_lost_and_found() -> None:
    there = found("started", 10, "inspect", host="a", worker_time=T0 + 3)
    image = shown([there])
    assert (image.state, image.worker) == ("STARTED", "a")
    assert image.started_at == "2027-01-15T08:00:03.000Z"
    image = shown([there, lost(100)])
    assert (image.state, image.worker, image.reason) == ("LOST", "a", WHY)
    back = found("started", 200, "inspect", host="a")
    assert shown([there, lost(100), back]).state == "STARTED"


def test_what_ended_unheard_is_as_it_was_heard_last_with_a_reason() -> None:
    ended = found("ended", 100, "inferred", host="a", exception="nobody tells how")
    image = shown([*RUNNING, ended])
    assert (image.state, image.reason) == ("STARTED", "nobody tells how")
    assert (image.source, image.final, image.has_unknown_outcome) == (
        "inferred",
        False,
        True,
    )
    late = shown([*RUNNING, ended, *worker("succeeded", "a", 110, clock=9)])
    assert (late.state, late.reason) == ("SUCCESS", None)
    told = found("succeeded", 120, "backend", host="a")
    assert shown([*RUNNING, ended, told]).state == "SUCCESS"


def test_what_waited_and_perhaps_ran_unheard_is_as_it_was_heard_last() -> None:
    sent = say("sent", 10)
    ended = found("ended", 100, "inferred", exception="nobody tells whether it ran")
    image = shown([sent, ended])
    assert (image.state, image.reason) == ("PENDING", "nobody tells whether it ran")
    assert image.has_unknown_outcome
    late = shown([sent, ended, *worker("received started", "a", 110)])
    assert (late.state, late.reason) == ("STARTED", None)


def test_what_will_be_delivered_again_has_not_ended_unheard() -> None:
    again = found("lost", 100, "inferred", host="a", exception=WHY, flag=True)
    for begun in (RUNNING, [found("started", 10, "inspect", host="a")]):
        image = shown([*begun, again])
        assert (image.state, image.reason) == ("PENDING", WHY)
        assert not image.has_unknown_outcome


def test_a_word_that_came_during_the_look_ends_it() -> None:
    """The word that it is lost is as old as the beginning of the look."""
    during = worker("received", "b", 101)
    assert shown([*RUNNING, *during, lost(100)]).state != "LOST"


def test_a_word_that_was_let_go_of_ends_what_was_lost_before_it() -> None:
    task = known([*RUNNING, lost(100)])
    later = PastDeliveries(received_at=int((T0 + 900) * 1000))
    assert project(task).state == "LOST"
    assert project(msgspec.structs.replace(task, past=later)).state == "STARTED"


def test_a_lost_task_counts_as_lost() -> None:
    task = known([*RUNNING, lost(100)])
    words = [word for _, _, _, word, *_ in count_task(task, project(task))]
    assert "lost" in words
