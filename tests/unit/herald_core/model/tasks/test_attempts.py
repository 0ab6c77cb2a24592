"""Deliveries, found among the events of one task."""

from herald_core.model.events.event import STOPPED
from herald_core.model.tasks.attempts import find_deliveries
from herald_core.model.tasks.deliveries import EventMark


def test_a_worker_that_stops_ends_no_delivery() -> None:
    received = EventMark("received", "a", 7, 1, 1.0)
    stopped = EventMark(STOPPED, "a", 7, 2, 2.0)
    (delivery,) = find_deliveries([received, stopped])
    assert (delivery.received, delivery.ends) == (received, [])
