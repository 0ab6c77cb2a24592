"""An order goes from its request to one outcome; time is an argument."""

import pytest

from herald_core.model.orders import from_document_data, to_document_data
from herald_server.control.workers import steps
from herald_server.control.workers.commands import parse_command
from herald_server.control.workers.evidence import Evidence
from herald_server.control.workers.outcomes import Verdict

NOON = 1_800_000_000.0
GROW = parse_command("pool_grow", {"n": 2})
ORDER = steps.make_order("o1", GROW, "w@a", "ops", NOON)


def test_an_order_is_acknowledged_and_then_verified() -> None:
    accepted = steps.advance(ORDER, Verdict("acknowledged", "yes"), NOON + 1)
    done = steps.advance(accepted, Verdict("verified", "4 now"), NOON + 2)
    assert (ORDER.state, accepted.state, done.state) == (
        "requested",
        "acknowledged",
        "verified",
    )
    assert accepted.ended_at is None
    assert done.ended_at == "2027-01-15T08:00:02.000Z"


@pytest.mark.parametrize("state", ["verified", "not_verified", "refused"])
def test_an_outcome_is_final(state: str) -> None:
    done = steps.advance(ORDER, Verdict(state, ""), NOON)
    for other in ("requested", "acknowledged", "verified", "no_answer"):
        with pytest.raises(ValueError, match=f"that is {state} cannot be {other}"):
            steps.advance(done, Verdict(other, ""), NOON)


def test_a_worker_may_obey_after_it_gave_no_answer() -> None:
    unheard = steps.advance(ORDER, Verdict("no_answer", ""), NOON)
    assert steps.advance(unheard, Verdict("verified", ""), NOON + 9).state == "verified"


def test_an_order_survives_its_server() -> None:
    before = Evidence(processes=1, pool="prefork", size=2, pids=(7, 8))
    stored = to_document_data(steps.remember(ORDER, before))
    assert steps.read_command(from_document_data("o1", stored)) == (GROW, before)


def test_an_order_without_outcome_is_overdue_after_a_while() -> None:
    assert not steps.is_overdue(ORDER, NOON + 60, 60)
    assert steps.is_overdue(ORDER, NOON + 61, 60)
    done = steps.advance(ORDER, Verdict("refused", ""), NOON)
    assert not steps.is_overdue(done, NOON + 61, 60)
