"""When a task is lost, and when it is only not seen."""

from typing import Any

import pytest

from herald_core.model.loss.loss_reasons import (
    explain_loss,
    explain_unknown_end,
    explain_unknown_start,
)
from herald_core.model.loss.lost_rules import (
    ClusterSnapshot,
    MissingSince,
    is_at_risk,
    is_missing,
    may_have_ended,
    may_have_run,
    needs_queue_lookup,
)
from herald_core.model.loss.recheck_schedule import PAUSES_S, RecheckSchedule
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.worker import WorkerView

NOW = 1_800_000_000.0
AFTER = 60.0


def task(state: str = "STARTED", ago: float = 500.0, **more: Any) -> TaskView:
    """Return a task of which the last word was heard `ago`."""
    at = to_rfc3339(NOW - ago)
    held: dict[str, Any] = {"worker": "w@h"} if state in ("STARTED", "RECEIVED") else {}
    return TaskView(id="t", state=state, updated_at=at, **{**held, **more})


def worker(state: str, ago: float = 0.0, **more: Any) -> WorkerView:
    """Return the worker, which was last heard of `ago`."""
    at = to_rfc3339(NOW - ago)
    return WorkerView(
        id="w@h", hostname="w@h", state=state, last_heartbeat_at=at, **more
    )


def around(*workers: WorkerView, **more: Any) -> ClusterSnapshot:
    """Return what a look around found."""
    known = {one.hostname: one for one in workers}
    return ClusterSnapshot(taken_at=NOW, workers=known, **more)


def lost(
    one: TaskView, where: ClusterSnapshot, absence: MissingSince | None = None
) -> str:
    """Return why `one` is lost, if it is, by the whole of the judgement."""
    if not needs_queue_lookup(one, where, AFTER) or not is_missing(one, where):
        return ""
    return explain_loss(one, where, absence or MissingSince(NOW - 200, 5), AFTER)


ANSWERED = frozenset(["w@h"])
HELD = frozenset(["t"])


@pytest.mark.parametrize("state", ["STARTED", "RECEIVED", "PENDING", "RETRY"])
@pytest.mark.parametrize(
    "where",
    [
        around(worker("silent", 500), held=HELD),
        around(worker("silent", 500), queued=HELD),
        around(worker("online"), held=HELD, answered=ANSWERED),
    ],
)
def test_what_somebody_has_is_not_lost(state: str, where: ClusterSnapshot) -> None:
    assert lost(task(state), where) == ""


@pytest.mark.parametrize("ago", [5, 59])
def test_what_ran_is_lost_only_after_the_time(ago: float) -> None:
    assert lost(task(), around(worker("silent", ago))) == ""
    assert "silent for 61 s" in lost(task(), around(worker("silent", 61)))


def test_a_word_of_the_task_counts_for_its_worker() -> None:
    """Its child processes speak for themselves, even if the worker is busy."""
    assert lost(task(ago=30), around(worker("silent", 500))) == ""


def test_what_drains_has_all_its_time_to_finish() -> None:
    assert lost(task(), around(worker("draining", 20))) == ""
    assert lost(task(), around(worker("offline", 80))) == ""
    assert "sent worker-offline" in lost(task(), around(worker("offline", 95)))


def test_whoever_said_goodbye_has_its_grace_to_finish() -> None:
    gone = worker("offline", 150)
    assert "sent worker-offline" in lost(task(), around(gone))
    assert lost(task(), around(gone, grace=100.0)) == ""


def test_a_worker_that_nobody_knows_is_as_silent_as_its_task() -> None:
    assert lost(task(ago=59), around()) == ""
    assert "worker w@h, which ran it" in lost(task(ago=61), around())
    assert "worker unknown" in lost(task(worker=None), around())


def test_a_living_worker_that_does_not_answer_may_have_it() -> None:
    assert lost(task(), around(worker("online"))) == ""
    assert lost(task("RECEIVED"), around(worker("online"))) == ""


def test_another_that_does_not_answer_makes_us_wait_longer() -> None:
    mute = WorkerView(id="x@h", hostname="x@h", state="online")
    assert lost(task(), around(worker("silent", 100), mute)) == ""
    assert lost(task(), around(worker("silent", 121), mute)) != ""
    heard = around(worker("silent", 100), mute, answered=frozenset(["x@h"]))
    assert lost(task(), heard) != ""


def test_a_living_worker_that_has_it_no_more_is_looked_at_twice() -> None:
    where = around(worker("online"), answered=ANSWERED)
    assert lost(task(), where, MissingSince(NOW - 5, 1)) == ""
    assert "ended without a word" in lost(task(), where, MissingSince(NOW - 5, 2))


def test_what_a_worker_has_no_more_may_wait_where_nobody_sees_it() -> None:
    where = around(worker("online"), answered=ANSWERED, queues_known=False)
    assert lost(task(), where, MissingSince(NOW - 59, 9)) == ""
    assert "does not show it" in lost(task(), where, MissingSince(NOW - 61, 9))


def test_a_worker_that_was_started_anew_is_named() -> None:
    begun = task(started_at=to_rfc3339(NOW - 400))
    where = around(worker("online", started_at=to_rfc3339(NOW - 9)), answered=ANSWERED)
    assert "was restarted" in lost(begun, where)


def test_what_ran_comes_back_if_its_message_is_not_confirmed() -> None:
    where = around(worker("silent", 100), unacked=HELD)
    assert "deliver it again" in lost(task(), where)


@pytest.mark.parametrize(
    ("confirmed", "queues_known", "said"),
    [
        (False, False, "the broker will deliver it again"),
        (True, False, ""),
        (None, False, "if its message was not confirmed (acks_late), it waits"),
        (None, True, ""),
    ],
)
def test_the_reason_says_what_is_known_of_another_delivery(
    confirmed: bool | None, queues_known: bool, said: str
) -> None:
    told = {} if confirmed is None else {"w@h": {"t": confirmed}}
    where = around(worker("silent", 500), queues_known=queues_known, confirmed=told)
    why = lost(task(), where)
    assert said in why
    assert ("; " in why) == bool(said)


@pytest.mark.parametrize("state", ["PENDING", "RECEIVED", "RETRY"])
def test_what_waits_is_lost_when_it_was_nowhere_for_long(state: str) -> None:
    where = around(worker("silent", 500))
    assert "no queue" in lost(task(state), where, MissingSince(NOW - 61, 2))
    assert lost(task(state), where, MissingSince(NOW - 59, 9)) == ""
    assert lost(task(state), where, MissingSince(NOW - 61, 1)) == ""
    unacked = around(worker("silent", 500), unacked=HELD)
    assert lost(task(state), unacked) == ""
    unseen = around(worker("silent", 500), queues_known=False)
    assert lost(task(state), unseen) == ""


def test_what_runs_is_in_no_queue_however_many_messages_there_are() -> None:
    assert lost(task(), around(worker("silent", 61), queues_known=False)) != ""


def test_what_is_lost_is_not_lost_again() -> None:
    assert lost(task("LOST"), around(worker("silent", 500))) == ""


@pytest.mark.parametrize(
    ("state", "risk"),
    [("online", False), ("draining", False), ("silent", True), ("offline", True)],
)
def test_tasks_of_a_worker_that_seems_dead_are_at_risk(state: str, risk: bool) -> None:
    assert is_at_risk(task(), {"w@h": worker(state)}) == risk


def test_tasks_of_an_unknown_worker_are_at_risk() -> None:
    assert is_at_risk(task(), {})
    assert not is_at_risk(task(worker=None), {})


# ---- how often ---------------------------------------------------------------


def test_looks_grow_rarer_while_nothing_is_heard() -> None:
    checks, one, now = RecheckSchedule(5), task("PENDING", 0), NOW
    waits: list[float] = []
    last = NOW
    for _ in range(20_000):
        now += 1
        if checks.is_due(one, now):
            waits.append(now - last)
            last = now
            checks.record_found(one, now)
    # The first pause is counted from the last word.
    assert waits[:8] == [PAUSES_S[0], *PAUSES_S]
    assert set(waits[8:]) == {PAUSES_S[-1]}


def test_a_word_begins_all_anew() -> None:
    checks, one = RecheckSchedule(5), task("PENDING", 0, rev="1-1.0")
    for _ in range(9):
        checks.record_found(one, NOW)
    heard = task("PENDING", -400, rev="1-2.0")
    assert not checks.is_due(heard, NOW + 401)
    assert checks.is_due(heard, NOW + 406)
    assert checks.record_missing(heard, NOW + 406) == MissingSince(NOW + 406, 1)


def test_two_looks_at_once_are_one() -> None:
    checks, one = RecheckSchedule(5), task()
    assert checks.record_missing(one, NOW).checks == 1
    assert checks.record_missing(one, NOW + 1).checks == 1
    assert checks.record_missing(one, NOW + 5) == MissingSince(NOW, 2)
    checks.record_found(one, NOW + 6)
    assert checks.record_missing(one, NOW + 12) == MissingSince(NOW + 12, 1)


def test_what_is_over_is_forgotten() -> None:
    checks = RecheckSchedule(5)
    for number in range(5):
        checks.is_due(TaskView(id=str(number)), NOW)
    checks.retain(["1", "3"])
    assert len(checks) == 2


GAP = [(NOW - 300, NOW - 200)]
BEGUN = to_rfc3339(NOW - 400)


UNHEARD: list[tuple[list[tuple[float, float]], float, dict[str, Any], bool]] = [
    (GAP, 900.0, {}, True),
    ([], 900.0, {}, False),
    ([(NOW - 900, NOW - 800)], 900.0, {}, False),
    (GAP, 350.0, {}, False),
    (GAP, 900.0, {"unacked": HELD}, False),
    (GAP, 900.0, {"answered": frozenset[str]()}, False),
]


@pytest.mark.parametrize(("gaps", "boot", "more", "unheard"), UNHEARD)
def test_what_is_gone_from_its_worker_after_a_gap_may_have_ended_well(
    gaps: list[tuple[float, float]], boot: float, more: dict[str, Any], unheard: bool
) -> None:
    host = worker("online", started_at=to_rfc3339(NOW - boot))
    where = around(host, **{"answered": ANSWERED, **more})
    assert may_have_ended(task(started_at=BEGUN), where, gaps) == unheard


VAGUE: list[tuple[str, float, dict[str, Any], bool]] = [
    # Its worker said goodbye, and not all that it said then is heard.
    ("RECEIVED", 100.0, {"worker": "gone@h"}, True),
    ("PENDING", 250.0, {}, True),
    ("RECEIVED", 250.0, {"worker": "w1@h"}, True),
    ("RETRY", 250.0, {"worker": "w1@h"}, True),
    # Its last word came after the gap.
    ("PENDING", 100.0, {}, False),
    # It ran, and was handed back.
    ("PENDING", 250.0, {"worker": "w1@h"}, False),
    ("STARTED", 250.0, {"worker": "w1@h"}, False),
    # It was concluded already.
    ("PENDING", 250.0, {"reason": "whether it ran is not known"}, False),
]


@pytest.mark.parametrize(("state", "ago", "more", "vague"), VAGUE)
def test_what_waited_as_events_were_missed_may_have_run(
    state: str, ago: float, more: dict[str, Any], vague: bool
) -> None:
    one = TaskView(id="t", state=state, updated_at=to_rfc3339(NOW - ago), **more)
    gone = WorkerView(id="gone@h", hostname="gone@h", state="offline")
    assert may_have_run(one, around(gone), GAP) == vague
    assert not may_have_run(one, around(gone, held=HELD), GAP)
    assert not may_have_run(one, around(gone, queued=HELD), GAP)


def test_what_ended_unheard_is_not_lost_when_its_worker_goes() -> None:
    one = task(started_at=BEGUN, reason="nobody tells how")
    assert may_have_ended(one, around(worker("offline", 400)), [])


def test_why_it_is_not_known_whether_a_task_ran_is_said() -> None:
    one, absence = task("RECEIVED", worker="w@h"), MissingSince(NOW - 200, 5)
    said = explain_unknown_start(one, around(worker("offline")), absence, [])
    assert "worker w@h, which received it, ended meanwhile" in said
    assert "for 200 s" in said
    said = explain_unknown_start(
        one, around(worker("offline")), absence, [(NOW - 900, NOW)]
    )
    assert "events were missed meanwhile" in said


def test_why_it_is_not_known_how_a_task_ended_is_said() -> None:
    assert "worker w@h, which ran it, lives" in explain_unknown_end(task("STARTED"))
