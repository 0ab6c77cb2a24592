"""Requests about alerts: list, silence and test them."""

from __future__ import annotations

from herald_client.models.answers import AlertList, AlertSilence, AlertTest, Deleted
from herald_client.requests.request import Request, make_delete, make_get, make_post


def list_alerts() -> Request[AlertList]:
    """Return the alerts, those that fire first, with rules and silences."""
    return make_get("alerts", answer=AlertList)


def send_test(receiver: str | None = None) -> Request[AlertTest]:
    """Send a test to all receivers of alerts, or to one, and return the outcome."""
    return make_post("alerts", "test", body={"receiver": receiver}, answer=AlertTest)


def silence_alerts(
    duration: str | float, rule: str = "*", subject: str = "*", comment: str = ""
) -> Request[AlertSilence]:
    """Report no alerts that match two globs, for a duration such as `2h`."""
    body = {"rule": rule, "subject": subject, "for": duration, "comment": comment}
    return make_post("alerts", "silences", body=body, answer=AlertSilence)


def delete_silence(silence_id: str) -> Request[Deleted]:
    """Delete a silence of alerts: they are reported again."""
    return make_delete("alerts", "silences", silence_id, answer=Deleted)
