"""What the doctor says of what was found."""

import re

import msgspec
import pytest
from click.testing import CliRunner

from herald_server.commands.doctor import doctor
from herald_server.doctor.facts import Facts, Place, WorkerFacts
from herald_server.doctor.rules import EVENTS, EXTENDED, SENT, findings, healthy

GOOD = WorkerFacts(
    "w@h",
    {SENT: True, EVENTS: True, EXTENDED: True},
    events=True,
    skew=0.01,
    version="5.7.0",
)
WELL = Facts(
    Place("redis://h", "Redis 7.2"),
    Place("redis://h/1", "Redis 7.2"),
    Place("redis://h/2", "Redis 7.2"),
    (GOOD,),
    monitors=1,
)


def codes(facts: Facts) -> dict[str, str]:
    return {one.code: one.level for one in findings(facts)}


def of(**fields: object) -> Facts:
    return msgspec.structs.replace(
        WELL, workers=(msgspec.structs.replace(GOOD, **fields),)
    )


def test_where_all_is_well_nothing_is_said() -> None:
    assert findings(WELL) == []
    assert healthy([])


@pytest.mark.parametrize(
    ("facts", "code", "level"),
    [
        (of(events=False), "events_off", "warning"),
        (of(skew=-30.0), "clock_skew", "warning"),
        (of(beats=False), "no_heartbeat", "warning"),
        (of(version="5.3.6"), "old_celery", "warning"),
        (of(version="5.6.9"), "older_celery", "note"),
        (of(silent=("a.b",)), "silent_tasks", "note"),
        (of(conf={EVENTS: True, SENT: False}), f"{SENT}_off", "warning"),
        (of(conf={EVENTS: True, EXTENDED: False}), f"{EXTENDED}_off", "warning"),
        (of(conf={SENT: True}), "events_at_run_time", "note"),
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
            "warning",
        ),
        (
            msgspec.structs.replace(WELL, store=Place("r", problem="away")),
            "store_unreachable",
            "error",
        ),
    ],
)
def test_one_thing_wrong_is_one_finding(facts: Facts, code: str, level: str) -> None:
    assert codes(facts) == {code: level}


def test_a_clock_that_cannot_be_compared_is_not_called_wrong() -> None:
    assert codes(of(skew=1.9)) == {}


def test_many_workers_of_one_fault_are_one_finding() -> None:
    workers = tuple(
        msgspec.structs.replace(GOOD, hostname=f"w{n}@h", events=False)
        for n in range(8)
    )
    (said,) = findings(msgspec.structs.replace(WELL, workers=workers))
    assert "w4@h and 3 more send no events" in said.message
    assert len(said.about) == 8


def test_people_read_what_is_wrong_and_the_line_that_mends_it() -> None:
    away = "redis://user:hidden@127.0.0.1:1/0"
    words = ["--broker", away, "--backend", away]
    done = CliRunner(env={"HERALD_STORE_URL": None}).invoke(doctor, words)
    assert done.exit_code == 1
    assert re.search(r"broker +redis://user:\*\*@127.0.0.1:1/0 +not reach", done.output)
    assert "error    The broker redis://user:**@127.0.0.1:1/0: " in done.output
    assert "           start it, or mend --broker" in done.output
    assert "hidden" not in done.output
