"""Which facts are read, and when."""

import msgspec
import pytest

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER, Change, LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.filters import PreviousValues
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import ONLINE, SILENT, WorkerView
from herald_server.alerts.facts import FactPart
from herald_server.alerts.facts_reader import (
    PAUSES_S,
    PartSchedule,
    find_webhook_problem,
    list_changed_parts,
)
from herald_server.webhooks.endpoint import Secret, WebhookEndpoint
from herald_server.webhooks.repository import EndpointState

AT = Cursor(1, 1)
NOW = 1_000.0
NOTHING: set[FactPart] = set()


def make_entry(
    kind: str, task: TaskView | None = None, before: PreviousValues | None = None
) -> LogEntry:
    return LogEntry(AT, (Change(kind, "x", "1-1.0", (AT, 0), b"{}", task, before),))


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (QUEUE, {"queues"}),
        (GAP, {"gaps"}),
        ("schedules", {"schedules"}),
        ("orders", NOTHING),
    ],
)
def test_each_kind_of_record_concerns_a_part(kind: str, parts: set[FactPart]) -> None:
    assert list_changed_parts(make_entry(kind), (), ()) == parts


@pytest.mark.parametrize(
    ("task", "before", "parts"),
    [
        (TaskView(id="x", state="SUCCESS"), None, NOTHING),
        (TaskView(id="x", state="STARTED"), None, {"running"}),
        (TaskView(id="ran", state="SUCCESS"), None, {"running"}),
        (TaskView(id="x", state="LOST"), None, {"lost"}),
        (TaskView(id="x", state="SUCCESS"), PreviousValues(state="LOST"), {"lost"}),
        (TaskView(id="x", state="FAILURE", failure="f"), None, {"failures"}),
        (None, None, NOTHING),
    ],
)
def test_a_task_concerns_what_it_became(
    task: TaskView | None, before: PreviousValues | None, parts: set[FactPart]
) -> None:
    assert list_changed_parts(make_entry(TASK, task, before), {"ran"}, ()) == parts


@pytest.mark.parametrize(
    ("state", "silent", "parts"),
    [
        (ONLINE, (), NOTHING),
        (ONLINE, ("w",), {"workers"}),
        (SILENT, (), {"workers"}),
        ("", (), {"workers"}),
    ],
)
def test_a_heartbeat_of_a_worker_that_is_online_concerns_nothing(
    state: str, silent: tuple[str, ...], parts: set[FactPart]
) -> None:
    worker = WorkerView(id="w", hostname="w", state=state)
    json = msgspec.json.encode(worker) if state else b""
    change = Change(WORKER, "w", "1-1.0", (AT, 0), json)
    assert list_changed_parts(LogEntry(AT, (change,)), (), silent) == parts


def test_all_parts_are_read_at_first_and_then_on_changes() -> None:
    schedule = PartSchedule(["workers", "queues"])
    assert set(schedule.take_due(NOW)) == {"workers", "queues"}
    assert schedule.find_next() is None
    assert schedule.mark_changed("workers", NOW + 5)
    assert schedule.take_due(NOW + 5) == ["workers"]


def test_a_part_that_no_rule_needs_is_not_read() -> None:
    schedule = PartSchedule(["workers"])
    assert not schedule.mark_changed("gaps", NOW)
    assert schedule.take_due(NOW) == ["workers"]


def test_changes_in_quick_succession_are_read_once() -> None:
    schedule = PartSchedule(["running"])
    schedule.take_due(NOW)
    schedule.mark_changed("running", NOW + 1)
    schedule.mark_changed("running", NOW + 2)
    assert schedule.take_due(NOW + 2) == []
    assert schedule.find_next() == NOW + PAUSES_S["running"]


def test_a_time_due_is_kept_whatever_was_read() -> None:
    schedule = PartSchedule(["running"])
    schedule.take_due(NOW)
    schedule.mark_due("running", NOW + 3)
    schedule.mark_changed("running", NOW + 1)
    assert schedule.find_next() == NOW + 3


def test_all_parts_may_have_changed() -> None:
    schedule = PartSchedule(["workers", "queues"])
    schedule.take_due(NOW)
    schedule.mark_all()
    assert set(schedule.take_due(NOW)) == {"workers", "queues"}


ENDPOINT = WebhookEndpoint(id="wh", url="https://x.example", secrets=(Secret("s"),))


def test_an_endpoint_that_is_delivered_to_is_no_problem() -> None:
    assert find_webhook_problem(ENDPOINT, None) is None
    assert find_webhook_problem(ENDPOINT, EndpointState(cursor="1-1")) is None


def test_a_disabled_endpoint_is_one_until_it_is_enabled() -> None:
    state = EndpointState(cursor="1-1", disabled_at=5.0, disabled_why="410 Gone")
    found = find_webhook_problem(ENDPOINT, state)
    assert found is not None
    assert (found.since, "410 Gone" in found.reason) == (5.0, True)
    enabled = msgspec.structs.replace(ENDPOINT, revived_at=6.0)
    assert find_webhook_problem(enabled, state) is None


def test_an_endpoint_that_accepts_nothing_is_one() -> None:
    state = EndpointState(cursor="1-1", breaker="open", last_error="HTTP 500")
    found = find_webhook_problem(ENDPOINT, state)
    assert found is not None
    assert "HTTP 500" in found.reason
