"""Why a task does not get on: the decision, for each thing that can be known."""

from typing import Any

import msgspec
import pytest

from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_server.diagnosis.facts import (
    HANDED_OUT,
    IN_QUEUE,
    NOWHERE,
    TaskFacts,
    WorkerQueryResult,
)
from herald_server.diagnosis.queue_consumers import decide_consumers
from herald_server.diagnosis.rules import diagnose
from herald_server.diagnosis.worker_query import find_holding_state, parse_rate_limits
from herald_server.insight.stats.durations import RuntimeStats

NOW = 1_800_000_000.0


def at(seconds: float) -> str:
    return to_rfc3339(NOW + seconds)


def task(state: str = "PENDING", **fields: Any) -> TaskView:
    return TaskView(id="t", state=state, name="shop.pay", queue="pay", **fields)


def worker(hostname: str = "w1@h", state: str = "online") -> WorkerView:
    return WorkerView(
        id=hostname, hostname=hostname, state=state, last_heartbeat_at=at(-60)
    )


def asked(*queues: str, rate: str = "", knows: str = "shop.pay") -> WorkerQueryResult:
    return WorkerQueryResult(
        answered=frozenset({"w1@h"}),
        queues={"w1@h": frozenset(queues)},
        known={"w1@h": {knows: rate}},
        searched=frozenset({"w1@h"}),
    )


def holds(how: str, rate: str = "") -> WorkerQueryResult:
    return msgspec.structs.replace(asked("pay", rate=rate), held={"w1@h": how})


def queue(depth: int, **fields: Any) -> QueueView:
    return QueueView(id="pay", name="pay", depth=depth, as_of=at(0), **fields)


def missed(since: float, reason: str) -> Gap:
    return Gap(id=reason, since=at(since), until=at(since + 9), reason=reason)


ALIVE = (worker(),)
SILENT = (worker(state="silent"),)
FAILED = TaskView(id="before", state="FAILURE", final=True)
CASES: dict[str, tuple[TaskFacts, str]] = {
    "unknown": (TaskFacts(TaskView(id="t", state="UNKNOWN"), NOW), "never heard"),
    "held_unheard": (
        TaskFacts(
            TaskView(id="t", state="UNKNOWN"),
            NOW,
            answers=WorkerQueryResult(held={"w1@h": "active"}),
        ),
        "worker w1@h has it (active)",
    ),
    "record_ran_out": (TaskFacts(TaskView(id="t", state="EXPIRED"), NOW), "run out"),
    "lost": (TaskFacts(task("LOST", reason="w1@h is silent"), NOW), "w1@h is silent"),
    "ended_unheard": (
        TaskFacts(task("STARTED", worker="w1@h", reason="it has ended"), NOW, SILENT),
        "It does not run any more: it has ended",
    ),
    "over": (
        TaskFacts(task("SUCCESS", final=True, finished_at=at(-5)), NOW),
        "ended as success",
    ),
    "revoked": (
        TaskFacts(task(), NOW, ALIVE, WorkerQueryResult(revoked=frozenset({"w1@h"}))),
        "w1@h will discard it",
    ),
    "cancel_pending": (
        TaskFacts(task(), NOW, cancel_at=at(-9)),
        "A cancel was asked for",
    ),
    "waits_for_retry": (
        TaskFacts(task("RETRY", attempt=2, eta=at(30), exception="OSError()"), NOW),
        f"Attempt 1 failed with OSError(); it waits until {at(30)}",
    ),
    "worker_silent": (
        TaskFacts(task("STARTED", worker="w1@h", started_at=at(-90)), NOW, SILENT),
        f"is silent: nothing was heard of it since {at(-60)}",
    ),
    "runs": (
        TaskFacts(task("STARTED", worker="w1@h", started_at=at(-9)), NOW, ALIVE),
        "It has run for 9 s on w1@h",
    ),
    "runs_long": (
        TaskFacts(
            task("STARTED", worker="w1@h", started_at=at(-90)),
            NOW,
            ALIVE,
            measured=RuntimeStats(9, 4.0, 5.0, 6.0),
        ),
        "median of 9 runs",
    ),
    "prefetched": (
        TaskFacts(task("RECEIVED", worker="w1@h"), NOW, ALIVE, holds("reserved")),
        "Worker w1@h has received it and has not started it; no other",
    ),
    "rate_limited": (
        TaskFacts(
            task("RECEIVED", worker="w1@h"), NOW, ALIVE, asked("pay", rate="10/m")
        ),
        "at most 10/m of shop.pay",
    ),
    "predecessor_ended": (
        TaskFacts(task(), NOW, ALIVE, blocked_by=FAILED),
        "before it ended as failure",
    ),
    "waits_for_predecessor": (
        TaskFacts(task(), NOW, ALIVE, waits_for=TaskView(id="b", state="STARTED")),
        "b before it is started",
    ),
    "expired": (TaskFacts(task(expires=at(-1)), NOW, ALIVE), "had to start before"),
    "eta_ahead": (TaskFacts(task(eta=at(60)), NOW, ALIVE), "not to start before"),
    "queues_unseen": (
        TaskFacts(task(), NOW, ALIVE, lookup_problem="the project uses other options"),
        "Nothing can be said of its queue: the project uses other options",
    ),
    "not_asked": (
        TaskFacts(
            task(), NOW, ALIVE, WorkerQueryResult(problem="nothing listens there")
        ),
        "Nothing can be said of where it waits: nothing listens there",
    ),
    "no_worker": (
        TaskFacts(task(), NOW, SILENT),
        f"the last was heard of at {at(-60)}",
    ),
    "no_worker_on_queue": (
        TaskFacts(task(), NOW, ALIVE, asked("celery")),
        "No worker consumes the queue 'pay'; those that run consume celery",
    ),
    "not_registered": (
        TaskFacts(task(), NOW, ALIVE, asked("pay", knows="shop.buy")),
        "knows a task named shop.pay",
    ),
    "no_known_worker_on_queue": (
        TaskFacts(task(), NOW, (*ALIVE, worker("w2@h")), asked("celery")),
        "None of the 1 that answered consumes the queue 'pay'; 1 did not answer",
    ),
    "in_queue": (
        TaskFacts(task(), NOW, ALIVE, asked("pay")),
        "cannot count the tasks; workers consume that queue",
    ),
    "not_held": (
        TaskFacts(
            task("STARTED", worker="w1@h", started_at=at(-9)), NOW, ALIVE, asked()
        ),
        "w1@h, which started it at",
    ),
    "nowhere": (
        TaskFacts(task(), NOW, ALIVE, asked("pay"), message=NOWHERE),
        "lies in no queue that Herald can see, 'pay' included",
    ),
    "given_out": (
        TaskFacts(task(), NOW, ALIVE, asked("pay"), message=HANDED_OUT),
        "gave its message to a worker that has not confirmed it",
    ),
    "queued_unheard": (
        TaskFacts(TaskView(id="t", state="UNKNOWN"), NOW, message=IN_QUEUE),
        "its message lies in a queue",
    ),
}
REDELIVERED = "its message is not confirmed, so that the broker will deliver it again"
RUNS = task("STARTED", worker="w1@h", started_at=at(-9))
RECEIVED = task("RECEIVED", worker="w1@h")
SHARED = (msgspec.structs.replace(worker(), shared=True),)
MUTE = (worker(), worker("w2@h"))

OTHERWISE: list[tuple[str, TaskFacts, str]] = [
    # What was said before, where the fact that it rests on is missing.
    ("lost", TaskFacts(task("LOST", worker="w1@h"), NOW, ALIVE), "probably died"),
    ("lost", TaskFacts(task("LOST"), NOW), "probably died"),
    ("lost", TaskFacts(task("LOST", reason=REDELIVERED), NOW), "retry_task"),
    ("lost", TaskFacts(task("LOST"), NOW, message=HANDED_OUT), "retry_task"),
    ("lost", TaskFacts(task("LOST"), NOW, message=IN_QUEUE), "retry_task"),
    ("waits_for_retry", TaskFacts(task("RETRY", exception="None"), NOW), "None"),
    ("waits_for_retry", TaskFacts(task("RETRY", attempt=1), NOW), "failed"),
    ("in_queue", TaskFacts(task(), NOW, ALIVE, asked("pay")), "behind other tasks"),
    (
        "in_queue",
        TaskFacts(task(), NOW, ALIVE, asked("pay"), queues=(queue(0),)),
        "behind other tasks",
    ),
    ("in_queue", TaskFacts(task(), NOW, ALIVE), "workers consume"),
    ("expired", TaskFacts(task("RECEIVED", expires=at(-1)), NOW, ALIVE), "busy"),
    (
        "expired",
        TaskFacts(task("RECEIVED", worker="w1@h", expires=at(-1)), NOW, SILENT),
        "w1@h",
    ),
    ("prefetched", TaskFacts(RECEIVED, NOW, ALIVE, holds("reserved", "10/m")), "10/m"),
    ("not_held", TaskFacts(RECEIVED, NOW, ALIVE, asked()), "None"),
    (
        "not_held",
        TaskFacts(task("STARTED", worker="w1@h"), NOW, ALIVE, asked()),
        "None",
    ),
    ("runs", TaskFacts(task(), NOW, ALIVE, holds("active")), "queue"),
    ("runs", TaskFacts(task("RETRY"), NOW, ALIVE, holds("active")), "waits"),
    ("prefetched", TaskFacts(task(), NOW, ALIVE, holds("reserved")), "queue"),
    ("eta_ahead", TaskFacts(task(eta=at(-1)), NOW, ALIVE, holds("scheduled")), "queue"),
    (
        "prefetched",
        TaskFacts(task("RECEIVED", worker="w2@h"), NOW, ALIVE, holds("reserved")),
        "w2@h",
    ),
    ("lost", TaskFacts(task("LOST"), NOW, ALIVE, holds("active")), "retry_task"),
    (
        "not_asked",
        TaskFacts(task(), NOW, (), WorkerQueryResult(problem="no way")),
        "No worker",
    ),
    (
        "no_known_worker_on_queue",
        TaskFacts(task(), NOW, (*ALIVE, worker("w2@h", "silent")), asked("celery")),
        "No worker consumes",
    ),
    ("prefetched", TaskFacts(RECEIVED, NOW, ALIVE, holds("reserved")), "is busy"),
    ("runs", TaskFacts(RECEIVED, NOW, ALIVE, holds("active")), "no other worker"),
    ("runs", TaskFacts(task("STARTED"), NOW, ALIVE), "None"),
    (
        "runs",
        TaskFacts(RUNS, NOW, ALIVE, WorkerQueryResult(revoked=frozenset({"w1@h"}))),
        "discard",
    ),
    ("runs", TaskFacts(RUNS, NOW, SHARED, asked()), "any more"),
    ("runs", TaskFacts(RUNS, NOW, ALIVE, holds("active")), "any more"),
    ("worker_silent", TaskFacts(RECEIVED, NOW, SILENT), "delivers"),
    (
        "no_known_worker_on_queue",
        TaskFacts(task(), NOW, MUTE, asked("x")),
        "No worker c",
    ),
    (
        "in_queue",
        TaskFacts(task(), NOW, MUTE, asked("x"), queues=(queue(1, consumer_count=1),)),
        "no worker",
    ),
    ("record_ran_out", TaskFacts(TaskView(id="t", state="EXPIRED"), NOW), "over"),
    (
        "over",
        TaskFacts(task("FAILURE", final=True, exception="NotRegistered('x')"), NOW),
        "starts it again",
    ),
]


@pytest.mark.parametrize(("reason", "facts", "part"), OTHERWISE)
def test_no_sentence_without_the_fact_that_it_rests_on(
    reason: str, facts: TaskFacts, part: str
) -> None:
    found = diagnose(facts)
    assert found.reason == reason
    assert part not in f"{found.message} {found.advice}"


def test_what_is_not_confirmed_is_said_to_come_again() -> None:
    for state in (SILENT, ()):
        lost = diagnose(TaskFacts(task("LOST", reason=REDELIVERED), NOW, state))
        assert "Wait for that" in lost.advice
    for one in (RECEIVED, task()):
        silent = diagnose(TaskFacts(one, NOW, SILENT, message=HANDED_OUT))
        assert "redelivers an unacknowledged message" in silent.message


def test_a_time_ahead_does_not_hide_that_the_worker_is_silent() -> None:
    ahead = task("RECEIVED", worker="w1@h", eta=at(60))
    assert "w1@h is silent" in diagnose(TaskFacts(ahead, NOW, SILENT)).advice
    assert diagnose(TaskFacts(ahead, NOW, ALIVE)).advice == ""


@pytest.mark.parametrize(
    ("state", "source", "sure"),
    [("REVOKED", "event", True), ("REVOKED", "backend", False), ("FAILURE", "", True)],
)
def test_what_a_cancelled_step_keeps_from_running(
    state: str, source: str, sure: bool
) -> None:
    before = TaskView(id="b", state=state, final=True, source=source)
    told = diagnose(TaskFacts(task(), NOW, ALIVE, blocked_by=before))
    assert ("unless a worker runs that" in told.message) is not sure


def test_what_waited_and_perhaps_ran_unheard_waits_no_more() -> None:
    found = diagnose(
        TaskFacts(task("PENDING", reason="whether it ran is not known"), NOW)
    )
    assert found.reason == "ended_unheard"
    assert found.message.startswith("It does not wait any more: whether it ran is")


def test_an_unknown_task_may_have_run_while_events_were_missed() -> None:
    unknown, gap = (
        TaskView(id="t", state="UNKNOWN"),
        missed(-50, "the broker was away"),
    )
    assert "missed" not in diagnose(TaskFacts(unknown, NOW)).message
    found = diagnose(TaskFacts(unknown, NOW, gaps=(missed(-90, "old"), gap)))
    assert found.reason == "unknown"
    assert f"missed events from {gap.since} to {gap.until} (the broker was away)" in (
        found.message
    )
    assert "and in 1 other stretch of the last week" in found.message
    lasting = msgspec.structs.replace(gap, unrepaired="They keep no result.")
    found = diagnose(TaskFacts(unknown, NOW, gaps=(lasting,)))
    assert "(the broker was away). They keep no result." in found.message


@pytest.mark.parametrize("reason", CASES)
def test_each_reason_is_found_and_said(reason: str) -> None:
    facts, part = CASES[reason]
    found = diagnose(facts)
    assert found.reason == reason
    assert part in found.message
    assert "\n" not in found.message


def test_a_narrow_token_hears_of_no_other_worker_or_queue() -> None:
    elsewhere = TaskFacts(task(), NOW, ALIVE, asked("secret"), narrow=True)
    cancelled = TaskFacts(
        task(), NOW, ALIVE, WorkerQueryResult(revoked=frozenset({"w1@h"})), narrow=True
    )
    for facts in (elsewhere, cancelled):
        assert not {"secret", "w1@h"} & set(diagnose(facts).message.split())
        assert "secret" not in diagnose(facts).message


def test_a_measured_queue_says_how_long_it_is() -> None:
    measured = (queue(1_200, drain_seconds=90.0),)
    found = diagnose(TaskFacts(task(), NOW, ALIVE, asked("pay"), queues=measured))
    assert "1,200 tasks wait (empty in about 90 s at this rate)" in found.message


TWO = (worker(), worker("w2@h"))
CONSUMERS: list[tuple[TaskFacts, str]] = [
    (TaskFacts(task(), NOW, ALIVE, asked("pay")), "taken"),
    (TaskFacts(task(), NOW, TWO, asked("pay")), "taken"),
    (TaskFacts(task(), NOW, ALIVE, asked("celery")), "nobody"),
    (TaskFacts(task(), NOW, TWO, asked("celery")), "nobody_said_so"),
    (TaskFacts(task(), NOW, TWO), "unknown"),
    # The broker counts them itself; and who is too busy to answer has told before.
    (
        TaskFacts(task(), NOW, TWO, asked("a"), queues=(queue(1, consumer_count=0),)),
        "nobody",
    ),
    (
        TaskFacts(task(), NOW, ALIVE, asked("a"), queues=(queue(1, consumer_count=1),)),
        "taken",
    ),
    (
        TaskFacts(
            task(), NOW, TWO, asked("a"), queues=(queue(1, consumers=("w2@h",)),)
        ),
        "taken",
    ),
    (TaskFacts(task(), NOW, ALIVE, queues=(queue(1, consumers=()),)), "nobody"),
]


@pytest.mark.parametrize(("facts", "decided"), CONSUMERS)
def test_nobody_takes_a_task_only_if_everybody_said_so(
    facts: TaskFacts, decided: str
) -> None:
    assert decide_consumers(facts) == decided
    says_nobody = "No worker consumes" in diagnose(facts).message
    assert says_nobody == (decided == "nobody")


def test_a_routing_key_leads_to_the_queue_that_is_bound_to_it() -> None:
    routed = TaskView(id="t", state="PENDING", routing_key="orders.new")
    told = WorkerQueryResult(
        queues={"w1@h": frozenset({"orders"})}, consumers=frozenset({"w1@h"})
    )
    assert diagnose(TaskFacts(routed, NOW, ALIVE, told)).reason == "in_queue"


def test_a_queue_that_was_empty_holds_no_others_before_the_task() -> None:
    found = diagnose(TaskFacts(task(), NOW, ALIVE, asked("pay"), queues=(queue(0),)))
    assert "which was empty when it was measured last" in found.message


def test_the_broker_knows_that_nobody_consumes_if_no_worker_can_be_asked() -> None:
    found = diagnose(
        TaskFacts(task(), NOW, ALIVE, queues=(queue(9, consumer_count=0),))
    )
    assert (found.reason, "-Q pay" in found.advice) == ("no_worker_on_queue", True)


def test_a_received_task_with_an_eta_waits_for_it() -> None:
    found = diagnose(TaskFacts(task("RECEIVED", worker="w1@h", eta=at(60)), NOW, ALIVE))
    assert found.reason == "eta_ahead"


def test_a_received_task_of_a_silent_worker_is_not_called_prefetched() -> None:
    found = diagnose(TaskFacts(task("RECEIVED", worker="w1@h"), NOW, SILENT))
    assert found.reason == "worker_silent"


def test_a_cancel_that_is_kept_does_not_hide_that_the_task_runs() -> None:
    running = task("STARTED", worker="w1@h", started_at=at(-9))
    assert diagnose(TaskFacts(running, NOW, ALIVE, cancel_at=at(-1))).reason == "runs"


def test_rate_limits_are_read_as_workers_tell_them() -> None:
    told = ["shop.pay [rate_limit=10/m]", "shop.buy", "shop.old [rate_limit=None]"]
    assert parse_rate_limits(told) == {
        "shop.pay": "10/m",
        "shop.buy": "",
        "shop.old": "",
    }


HELD: list[tuple[list[object], str]] = [
    ([{"t": ["active", {"id": "t"}]}], "active"),
    ([{}, {"t": ["reserved", {"id": "t"}]}], "reserved"),
    ([{"t": ["ready", {"id": "t"}]}], ""),
    ([{}], ""),
    ([{"error": "no"}], ""),
    ([None], ""),
    ([], ""),
]


@pytest.mark.parametrize(("said", "how"), HELD)
def test_answers_to_query_task(said: list[object], how: str) -> None:
    assert find_holding_state(said) == how
