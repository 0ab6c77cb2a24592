"""What the doctor says of what was found."""

import re

import msgspec
import pytest
from click.testing import CliRunner

from herald_server.cli.doctor.report import (
    Endpoint,
    InstallationFacts,
    OutboxFacts,
    PausedQueue,
    StreamFacts,
    WorkerFacts,
)
from herald_server.cli.doctor.rules import (
    RESULT_EXTENDED_SETTING,
    SENT_EVENT_SETTING,
    find_problems,
    is_healthy,
)
from herald_server.cli.doctor.worker_rules import TASK_EVENTS_SETTING
from herald_server.cli.server_commands.doctor import doctor

STREAM = StreamFacts("herald:outbox", exists=True, entries=5, has_group=True, unread=0)
GOOD = WorkerFacts(
    "w@h",
    {
        SENT_EVENT_SETTING: True,
        TASK_EVENTS_SETTING: True,
        RESULT_EXTENDED_SETTING: True,
    },
    events=True,
    skew=0.01,
    version="5.7.0",
    outbox=True,
)
WELL = InstallationFacts(
    Endpoint("redis://h", "Redis 7.2"),
    Endpoint("redis://h/1", "Redis 7.2"),
    Endpoint("redis://h/2", "Redis 7.2"),
    (GOOD,),
    monitors=1,
    outbox=OutboxFacts(Endpoint("redis://h", "Redis 7.2"), (STREAM,)),
)


def codes(facts: InstallationFacts) -> dict[str, str]:
    return {one.code: one.level for one in find_problems(facts)}


def of(**fields: object) -> InstallationFacts:
    return msgspec.structs.replace(
        WELL, workers=(msgspec.structs.replace(GOOD, **fields),)
    )


def test_a_paused_queue_is_told_with_what_lets_it_go_on() -> None:
    paused = PausedQueue("slow mail", "ops", "2026-11-30T02:13:00Z")
    facts = msgspec.structs.replace(WELL, paused=(paused,))
    [found] = find_problems(facts)
    assert (found.level, found.code) == ("note", "queue_paused")
    assert "paused by an order of ops since 2026-11-30T02:13:00Z" in found.message
    assert found.fix == "herald queue resume 'slow mail'"
    assert is_healthy([found])


def test_where_all_is_well_nothing_is_said() -> None:
    assert find_problems(WELL) == []
    assert is_healthy([])


@pytest.mark.parametrize(
    ("facts", "code", "level"),
    [
        (of(events=False), "events_off", "warning"),
        (of(skew=-30.0), "clock_skew", "warning"),
        (of(beats=False), "no_heartbeat", "warning"),
        (of(version="5.2.7"), "old_celery", "warning"),
        (of(version="5.6.9"), "older_celery", "note"),
        (of(silent=("a.b",)), "silent_tasks", "note"),
        (
            of(conf={TASK_EVENTS_SETTING: True, SENT_EVENT_SETTING: False}),
            f"{SENT_EVENT_SETTING}_off",
            "warning",
        ),
        (
            of(conf={TASK_EVENTS_SETTING: True, RESULT_EXTENDED_SETTING: False}),
            f"{RESULT_EXTENDED_SETTING}_off",
            "warning",
        ),
        (msgspec.structs.replace(WELL, workers=()), "no_worker", "warning"),
        (msgspec.structs.replace(WELL, backend=None), "no_backend", "note"),
        (msgspec.structs.replace(WELL, unseen=("no",)), "options_unknown", "error"),
        (msgspec.structs.replace(WELL, taken=("sep",)), "options_taken_over", "note"),
        (msgspec.structs.replace(WELL, monitors=0), "no_monitor", "note"),
        (
            msgspec.structs.replace(WELL, ours={"result_extended": False}),
            "result_extended_off",
            "warning",
        ),
        (
            msgspec.structs.replace(WELL, shortcomings="SQS carries nothing"),
            "broker_kind",
            "note",
        ),
        (
            msgspec.structs.replace(WELL, store=Endpoint("r", problem="away")),
            "store_unreachable",
            "error",
        ),
    ],
)
def test_one_thing_wrong_is_one_finding(
    facts: InstallationFacts, code: str, level: str
) -> None:
    assert codes(facts) == {code: level}


def test_workers_without_the_outbox_are_told_when_their_events_begin() -> None:
    told = codes(of(conf={SENT_EVENT_SETTING: True}, outbox=False))
    assert told == {"events_at_run_time": "note", "no_outbox": "note"}


def test_a_clock_that_cannot_be_compared_is_not_called_wrong() -> None:
    assert codes(of(skew=1.9)) == {}


def test_many_workers_of_one_fault_are_one_finding() -> None:
    workers = tuple(
        msgspec.structs.replace(GOOD, hostname=f"w{n}@h", events=False)
        for n in range(8)
    )
    (said,) = find_problems(msgspec.structs.replace(WELL, workers=workers))
    assert "w4@h and 3 more send no events" in said.message
    assert len(said.about) == 8


def test_people_read_what_is_wrong_and_the_line_that_mends_it() -> None:
    away = "redis://user:hidden@127.0.0.1:1/0"
    words = ["--broker", away, "--backend", away]
    done = CliRunner(env={"HERALD_STORE_URL": None}).invoke(doctor, words)
    assert done.exit_code == 1
    assert re.search(r"broker +redis://user:\*\*@127.0.0.1:1/0 +not reach", done.output)
    assert "error    The broker redis://user:**@127.0.0.1:1/0: " in done.output
    assert "           start it, or fix --broker" in done.output
    assert "hidden" not in done.output
