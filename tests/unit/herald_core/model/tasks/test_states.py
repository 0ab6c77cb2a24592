"""What confirms that a worker terminates a task."""

import pytest

from herald_core.model.events.event import STOPPED
from herald_core.model.tasks.deliveries import Delivery, EventMark
from herald_core.model.tasks.states import is_confirmed

REPORT = EventMark(STOPPED, "a", 7, 0, 10.0)
"""Worker `a`, in the process 7, says that it terminates the task."""


def make_delivery(host: str = "a", pid: int = 7, at: float = 9.0) -> Delivery:
    delivery = Delivery(0)
    delivery.received = EventMark("received", host, pid, 1, at)
    return delivery


def test_the_worker_that_has_the_delivery_confirms_it() -> None:
    assert is_confirmed(REPORT, make_delivery())


@pytest.mark.parametrize(
    "delivery",
    [make_delivery(host="b"), make_delivery(pid=8), make_delivery(at=13.0)],
    ids=["another worker", "another boot", "a later delivery"],
)
def test_no_other_does(delivery: Delivery) -> None:
    assert not is_confirmed(REPORT, delivery)


@pytest.mark.parametrize(("retries", "confirmed"), [(0, True), (1, False)])
def test_a_delivery_of_an_unknown_worker_is_the_first(
    retries: int, confirmed: bool
) -> None:
    assert is_confirmed(REPORT, Delivery(retries)) == confirmed


def test_a_task_without_a_delivery_is_confirmed() -> None:
    assert is_confirmed(REPORT, None)
