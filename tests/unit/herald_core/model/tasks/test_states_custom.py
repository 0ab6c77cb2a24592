"""States that a task gives itself, shown beside Celery's; and how such a task ends."""

import itertools

import msgspec
import pytest

from herald_core.model.events.event import Event, Progress
from herald_core.model.loss.lost_rules import ClusterSnapshot, is_ended_by_itself
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers import worker as w
from herald_core.model.workers.worker import WorkerView
from tests.support.model.events import T0, found, say, shown

BEGUN = [say("received", 1), say("started", 2)]


def gave(state: str, at: float) -> Event:
    return found("progress", at, custom_state=state, progress=Progress(message=state))


def ignored(at: float) -> Event:
    return found("ignored", at, "inferred", host="w1", exception="it ended")


def test_the_latest_state_is_shown_while_the_task_runs() -> None:
    told = [*BEGUN, gave("ONE", 3), gave("TWO", 4)]
    for order in itertools.permutations(told):
        image = shown(order)
        assert (image.state, image.custom_state) == ("STARTED", "TWO")


def test_it_goes_with_the_run_that_gave_it() -> None:
    assert shown([*BEGUN, gave("ONE", 3), say("succeeded", 5)]).custom_state is None
    again = [say("retried", 5), say("received:1", 6), say("started", 7)]
    image = shown([*BEGUN, gave("ONE", 3), *again])
    assert (image.state, image.custom_state) == ("STARTED", None)


def test_what_ended_in_it_is_final_and_says_so() -> None:
    image = shown([*BEGUN, gave("SKIPPED", 3), ignored(20)])
    assert (image.state, image.custom_state) == ("IGNORED", "SKIPPED")
    assert (image.final, image.source, image.reason) == (True, "inferred", "it ended")
    assert image.exception is None
    assert image.finished_at == to_rfc3339(T0 + 20)


def test_a_word_of_the_task_takes_it_back() -> None:
    told = [*BEGUN, gave("SKIPPED", 3), ignored(20), say("succeeded", 21)]
    assert shown(told).state == "SUCCESS"
    assert shown([*BEGUN, say("started", 30), ignored(20)]).state == "STARTED"


TASK = TaskView(
    "t1",
    state="STARTED",
    worker="w1",
    started_at=to_rfc3339(T0),
    custom_state="SKIPPED",
)
WORKER = WorkerView(
    id="w1", hostname="w1", state=w.ONLINE, started_at=to_rfc3339(T0 - 60)
)
WHERE = ClusterSnapshot(
    taken_at=T0 + 20, workers={"w1": WORKER}, answered=frozenset(["w1"])
)


def test_it_ended_by_itself_if_its_worker_lives_and_has_it_no_more() -> None:
    assert is_ended_by_itself(TASK, WHERE)


@pytest.mark.parametrize(
    ("task", "where"),
    [
        ({"custom_state": None}, {}),
        ({}, {"answered": frozenset[str]()}),
        ({}, {"unacked": frozenset(["t1"])}),
        ({}, {"confirmed": {"w1": {"t1": False}}}),
        (
            {},
            {
                "workers": {
                    "w1": msgspec.structs.replace(
                        WORKER, started_at=to_rfc3339(T0 + 10)
                    )
                }
            },
        ),
    ],
)
def test_otherwise_nobody_knows(
    task: dict[str, object], where: dict[str, object]
) -> None:
    assert not is_ended_by_itself(
        msgspec.structs.replace(TASK, **task), msgspec.structs.replace(WHERE, **where)
    )
