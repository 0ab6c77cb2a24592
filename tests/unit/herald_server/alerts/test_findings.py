"""What each kind of rule finds in the facts, and when it looks again."""

from typing import Any

import pytest

from herald_core.model.gaps import Gap
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_server.alerts.facts import AlertFacts, WebhookProblem
from herald_server.alerts.findings import RuleFindings, find_problems
from herald_server.alerts.rules import BUILT_IN_RULES, AlertRule
from herald_server.insight.stats.failures import FailureRate
from herald_server.push.freshness import Staleness

NOW = 1_800_000_000.0
BUILT_IN = {rule.name: rule for rule in BUILT_IN_RULES}


def ago(seconds: float) -> str:
    return to_rfc3339(NOW - seconds)


def find(kind: str, /, **facts: Any) -> RuleFindings:
    return find_problems(BUILT_IN[kind], AlertFacts(**facts), NOW)


def list_subjects(found: RuleFindings) -> list[str]:
    return [one.subject for one in found.found]


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_nothing_is_found_in_nothing(kind: str) -> None:
    assert find(kind) == RuleFindings()


def test_an_unusual_rate_of_failures() -> None:
    rates = [
        FailureRate(
            name=name, failed=5, ended=10, rate=0.5, normal_failed=0, normal_ended=9,
            unusual=name == "pay",
        )
        for name in ("pay", "mail")
    ]  # fmt: skip
    found = find("task_failing", failing=rates)
    assert list_subjects(found) == ["pay"]
    assert found.found[0].title == "pay fails 50 %"
    assert "usually never" in found.found[0].message
    assert found.due == NOW + 60


def test_failures_are_counted_within_the_window() -> None:
    minutes = [
        Rollup(at=int(NOW) - 600, names={"pay": {"failed": 90}}),
        Rollup(at=int(NOW) - 60, names={"pay": {"failed": 6}}),
        Rollup(at=int(NOW) - 60, names={"(other)": {"failed": 99}}),
        Rollup(at=int(NOW), names={"pay": {"failed": 4}, "mail": {"failed": 9}}),
    ]  # fmt: skip
    found = find("task_failed", minutes=minutes)
    assert list_subjects(found) == ["pay"]
    assert found.found[0].title == "pay failed 10 times"
    # The oldest of these failures leave the window of five minutes.
    assert found.due == NOW + 300


def test_lost_tasks_by_name_while_they_are_recent() -> None:
    tasks = [
        TaskView(id="1", name="pay", state="LOST", updated_at=ago(60), reason="gone"),
        TaskView(id="2", name="pay", state="LOST", updated_at=ago(30)),
        TaskView(id="3", name="mail", state="LOST", updated_at=ago(9_000)),
    ]
    found = find("task_lost", lost=tasks)
    assert [(one.subject, one.since) for one in found.found] == [("pay", NOW - 60)]
    assert found.found[0].title == "pay: 2 tasks lost"
    assert found.due == NOW - 60 + 900


def test_tasks_beyond_their_usual_runtime() -> None:
    tasks = [
        TaskView(id="1", name="pay", state="STARTED", started_at=ago(300)),
        TaskView(id="2", name="pay", state="STARTED", started_at=ago(50)),
        TaskView(id="3", name="new", state="STARTED", started_at=ago(9_000)),
    ]
    found = find("task_stuck", running=tasks, limits={"pay": 100.0})
    assert list_subjects(found) == ["pay"]
    assert found.found[0].since == pytest.approx(NOW - 300 + 110)
    assert found.due == pytest.approx(NOW - 50 + 110)


def test_quick_tasks_have_a_minute() -> None:
    task = TaskView(id="1", name="pay", state="STARTED", started_at=ago(59))
    found = find("task_stuck", running=[task], limits={"pay": 0.01})
    assert (list_subjects(found), found.due) == ([], NOW + 1)


def make_queue(**fields: Any) -> QueueView:
    return QueueView(id="reports", name="reports", as_of=ago(0), **fields)


def test_a_queue_without_a_consumer() -> None:
    queue = make_queue(depth=3, consumers=(), oldest_at=ago(30))
    found = find("queue_unconsumed", queues=[queue, make_queue(depth=3)])
    assert [(one.subject, one.since) for one in found.found] == [("reports", NOW - 30)]
    assert found.found[0].message.startswith("3 messages waiting")


def test_a_queue_whose_oldest_message_is_too_old() -> None:
    queue = make_queue(depth=1, oldest_at=ago(1_000))
    found = find("queue_old", queues=[queue])
    assert found.found[0].since == NOW - 100
    young = make_queue(depth=1, oldest_at=ago(800))
    assert find("queue_old", queues=[young]).due == NOW + 100


def test_a_silent_worker() -> None:
    workers = [
        WorkerView(
            id="a@h", hostname="a@h", state="silent", last_heartbeat_at=ago(20),
            note="Silent.",
        ),
        WorkerView(id="b@h", hostname="b@h", state="online"),
    ]  # fmt: skip
    found = find("worker_silent", workers=workers).found
    assert [(one.subject, one.since) for one in found] == [("a@h", NOW - 20)]


def make_gap(state: str, since: float, until: float) -> Gap:
    return Gap(
        id="g", since=ago(since), until=ago(until), reason="cut off", state=state,
        unrepaired="no backend" if state == "unrepairable" else "",
    )  # fmt: skip


def test_an_open_gap() -> None:
    found = find("gap", gaps=[make_gap("open", 90, 60)]).found[0]
    assert (found.subject, found.since) == ("events", NOW - 90)
    assert "cut off" in found.message


def test_a_gap_that_cannot_be_repaired_for_an_hour() -> None:
    found = find("gap", gaps=[make_gap("unrepairable", 90, 60)])
    assert found.found[0].title == "Events are missing"
    assert "no backend" in found.found[0].message
    assert found.due == NOW - 60 + 3_600
    old = make_gap("unrepairable", 9_000, 8_000)
    assert find("gap", gaps=[old, make_gap("closed", 9, 8)]) == RuleFindings()


def test_missed_schedules_and_a_silent_scheduler() -> None:
    problems: list[dict[str, Any]] = [
        {"kind": "missed", "name": "nightly", "message": "m", "since": ago(5)},
        {"kind": "beat_silent", "name": "x", "source": "app", "message": "m"},
        {"kind": "late", "name": "y", "message": "m", "since": ago(5)},
    ]
    found = find("schedule_missed", schedules=problems).found
    assert [(one.subject, one.since) for one in found] == [
        ("nightly", NOW - 5),
        ("app", None),
    ]


def test_a_webhook_that_is_off() -> None:
    found = find("webhook_off", webhooks=[WebhookProblem("wh_1", "disabled", 5.0)])
    assert found.found[0].title == "Webhook wh_1 is off"


def test_a_blind_monitor() -> None:
    found = find("monitor_blind", staleness=Staleness("no monitor", ago(9))).found
    assert [(one.subject, one.since) for one in found] == [("herald", NOW - 9)]


def test_only_subjects_of_the_rule_are_found() -> None:
    rule = AlertRule(name="r", kind="worker_silent", match="b@*")
    worker = WorkerView(id="a@h", hostname="a@h", state="silent")
    assert find_problems(rule, AlertFacts(workers=[worker]), NOW).found == ()
