"""What the doctor says of the outbox, and of who runs without it."""

from typing import Any

import msgspec
import pytest

from herald_server.cli.doctor.outbox_rules import ADD_OPTION, check_outbox
from herald_server.cli.doctor.report import (
    Endpoint,
    Finding,
    InstallationFacts,
    OutboxFacts,
    StreamFacts,
    WorkerFacts,
)

STREAM = StreamFacts("herald:outbox", exists=True, entries=5, has_group=True, unread=0)
PLACE = Endpoint("redis://h", "Redis 7.2")
WITH, WITHOUT = WorkerFacts("a@h", outbox=True), WorkerFacts("b@h")
WELL = InstallationFacts(
    PLACE, workers=(WITH,), monitors=1, outbox=OutboxFacts(PLACE, (STREAM,))
)


def told(**fields: Any) -> dict[str, Finding]:
    """Return the findings by code, if some facts are others."""
    facts = msgspec.structs.replace(WELL, **fields)
    return {one.code: one for one in check_outbox(facts)}


def seen(**fields: Any) -> OutboxFacts:
    """Return an outbox whose stream is another."""
    return OutboxFacts(PLACE, (msgspec.structs.replace(STREAM, **fields),))


def test_where_all_write_to_it_and_it_is_read_nothing_is_said() -> None:
    assert told() == {}
    assert told(workers=(), producers=()) == {}


def test_a_worker_that_was_forgotten_is_named_with_the_line_to_add() -> None:
    [said] = told(workers=(WITH, WITHOUT)).values()
    assert (said.code, said.level, said.about) == ("no_outbox", "warning", ("b@h",))
    assert said.message.startswith("b@h runs without the outbox.")
    assert said.fix == ADD_OPTION == "celery -A PROJECT worker -I herald_worker.auto"


def test_where_nobody_uses_it_nothing_is_wrong_but_may_be_better() -> None:
    [said] = told(workers=(WITHOUT, WorkerFacts("c@h"))).values()
    assert (said.level, said.about) == ("note", ("b@h", "c@h"))
    assert said.message.startswith("All workers run without the outbox.")


def test_where_the_broker_is_no_redis_the_setting_is_named_besides() -> None:
    [said] = told(workers=(WITHOUT,), outbox=None).values()
    assert said.fix.endswith("HERALD_OUTBOX_URL=redis://HOST/0 for it and for Herald")


def test_of_many_workers_some_are_named() -> None:
    workers = (WITH, *(WorkerFacts(f"w{n}@h") for n in range(7)))
    assert "w4@h and 2 more run without" in told(workers=workers)["no_outbox"].message


def test_producers_that_use_the_broker_are_named_beside_workers_that_do_not() -> None:
    [said] = told(producers=("web-1",)).values()
    assert (said.code, said.level) == ("producers_without_outbox", "note")
    assert "Processes on web-1 announce" in said.message
    assert said.fix.startswith("herald_worker.install(app)")
    assert "producers_without_outbox" not in told(
        workers=(WITHOUT,), producers=("web-1",)
    )


def test_rights_that_are_missing_are_named_with_the_grant() -> None:
    outbox = OutboxFacts(PLACE, (), ("XACK", "XREADGROUP"))
    [said] = told(outbox=outbox).values()
    assert (said.code, said.level) == ("outbox_rights", "error")
    assert "XACK, XREADGROUP are not allowed" in said.message
    assert said.fix == "ACL SETUSER USER ~herald:outbox* +xack +xreadgroup"


@pytest.mark.parametrize(
    ("outbox", "monitors", "code"),
    [
        (seen(has_group=False), 1, "outbox_not_read"),
        (seen(has_group=False), 0, None),
        (seen(has_group=False), None, None),
        (seen(behind_s=45.0), 1, "outbox_behind"),
        (seen(behind_s=45.0), 0, None),
        (seen(behind_s=5.0), 1, None),
        (OutboxFacts(PLACE, (StreamFacts("s"),)), 1, None),
    ],
)
def test_streams_that_monitors_do_not_read_are_named(
    outbox: OutboxFacts, monitors: int | None, code: str | None
) -> None:
    assert set(told(outbox=outbox, monitors=monitors)) == ({code} if code else set())
