"""Which gaps may be called closed, and what is told of the others."""

import pytest

from herald_core.model.gaps import BACKEND_REASON, CLOSED, UNREPAIRABLE, Gap
from herald_monitor.reconcile.gap_verdict import SourceLimits, end_gap

AT = "2026-01-01T00:01:00.000Z"
GAP = Gap(id="g", since="2026-01-01T00:00:00.000Z", until=AT, reason="the broker left")
WHOLE = SourceLimits(can_ask=True, can_list=True, name="redis")
NONE = SourceLimits(can_ask=False, can_list=False, reason="no result backend is there")
BY_ID = SourceLimits(can_ask=True, can_list=False, name="mongodb")
SOME_IGNORE = SourceLimits(
    can_ask=True,
    can_list=True,
    resultless=frozenset(["mail.send", "celery.chord_unlock"]),
)
MANY_IGNORE = SourceLimits(
    can_ask=True, can_list=True, resultless=frozenset(f"n{i}" for i in range(9))
)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (NONE, "no result backend is there. They stay unknown."),
        (BY_ID, "(mongodb) cannot be searched. A question for the id"),
        (SOME_IGNORE, "Tasks mail.send that started and ended"),
        (MANY_IGNORE, "n0, n1, n2 and 6 more that started"),
    ],
)
def test_what_nobody_can_tell_leaves_a_gap_unrepairable(
    limits: SourceLimits, words: str
) -> None:
    ended = end_gap(GAP, limits, AT, repaired=2)
    assert (ended.state, ended.repaired, ended.closed_at) == (UNREPAIRABLE, 2, AT)
    assert words in ended.unrepaired


@pytest.mark.parametrize(
    ("gap", "limits"),
    [
        (GAP, WHOLE),
        # Events were received all the while.
        (Gap(id="g", since=AT, until=AT, reason=f"{BACKEND_REASON}it was cut"), NONE),
        # Events waited in a queue of RabbitMQ.
        (Gap(id="g", since=AT, until=AT, reason="no monitor", durable=True), NONE),
    ],
)
def test_a_gap_is_closed_when_every_task_of_it_is_known(
    gap: Gap, limits: SourceLimits
) -> None:
    ended = end_gap(gap, limits, AT, repaired=0)
    assert (ended.state, ended.unrepaired) == (CLOSED, "")


def test_tasks_of_celery_itself_are_no_doubt() -> None:
    unlock = SourceLimits(
        can_ask=True, can_list=True, resultless=frozenset(["celery.chord_unlock"])
    )
    assert end_gap(GAP, unlock, AT, repaired=0).state == CLOSED
