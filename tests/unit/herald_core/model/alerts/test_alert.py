"""An alert is stored as a document, and its id is made of its rule and subject."""

from herald_core.model.alerts.alert import (
    Alert,
    AlertNotice,
    from_document_data,
    make_alert_id,
    to_document_data,
)

AT = "2026-01-01T00:00:00.000Z"


def test_an_alert_survives_its_document() -> None:
    alert = Alert(
        id="a",
        rule="gap",
        subject="events",
        state="firing",
        severity="warning",
        title="Events may be missing",
        since=AT,
        fired_at=AT,
        message_at=AT,
        notices=(AlertNotice("a-1-1-fired", "fired", AT, "t"),),
    )
    assert from_document_data("a", to_document_data(alert)) == alert


def test_rule_and_subject_are_kept_apart() -> None:
    assert make_alert_id("a", "bc") != make_alert_id("ab", "c")
    assert make_alert_id("a", "b") == make_alert_id("a", "b")
