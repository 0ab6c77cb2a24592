"""A step of an alert as an update of its document."""

from msgspec.structs import replace

from herald_core.model.alerts.alert import Alert, Condition, to_document_data
from herald_core.model.alerts.lifecycle import fire
from herald_core.model.alerts.update import make_update

CONDITION = Condition(rule="gap", subject="events", title="t", since=1.0)
ALERT = fire(None, CONDITION, None, None, 10.0)


def test_a_step_begins_a_document() -> None:
    data = make_update(ALERT.id, lambda known: ALERT if known is None else None)(None)
    assert data == to_document_data(ALERT)


def test_a_step_gets_what_is_stored() -> None:
    def rename(known: Alert | None) -> Alert | None:
        return known and replace(known, title="other")

    data = make_update(ALERT.id, rename)(to_document_data(ALERT))
    assert data is not None
    assert data["title"] == "other"


def test_a_step_without_an_alert_stores_nothing() -> None:
    assert make_update(ALERT.id, lambda known: None)(to_document_data(ALERT)) is None
