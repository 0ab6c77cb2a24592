"""What is to be sent to a receiver, by what became of each notice."""

from herald_core.model.alerts.alert import Alert, Condition
from herald_core.model.alerts.lifecycle import fire, resolve
from herald_server.alerts.delivery_records import (
    CLAIMED,
    FAILED,
    GIVE_UP_S,
    SENT,
    DeliveryRecord,
    list_pending,
    make_record_key,
)
from herald_server.alerts.receivers import AlertReceiver

NOW = 1_000_000.0
OPS = AlertReceiver(name="ops", urls=("json://x",))
CONDITION = Condition(rule="gap", subject="events", title="t", since=NOW)
ALERT = fire(None, CONDITION, None, None, NOW)
KEY = make_record_key(ALERT.notices[0].id, "ops")


def list_due(
    *alerts: Alert, now: float = NOW, receiver: AlertReceiver = OPS, state: str = ""
) -> list[float]:
    known = {KEY: DeliveryRecord(state=state, due=NOW + 7)} if state else {}
    found = list_pending(alerts, receiver, known, 5.0, now)
    return [one.due for one in found]


def test_a_new_notice_waits_for_others() -> None:
    assert list_due(ALERT) == [NOW + 5]


def test_notices_come_in_their_order() -> None:
    ended = resolve(ALERT, NOW + 1)
    found = list_pending([ended], OPS, {}, 5.0, NOW)
    assert [one.notice.type for one in found] == ["fired", "resolved"]


def test_what_was_sent_is_not_sent_again() -> None:
    assert list_due(ALERT, state=SENT) == []


def test_what_failed_or_was_claimed_is_sent_when_due() -> None:
    assert list_due(ALERT, state=FAILED) == [NOW + 7]
    assert list_due(ALERT, state=CLAIMED) == [NOW + 7]


def test_a_notice_is_given_up_after_a_day() -> None:
    assert list_due(ALERT, now=NOW + GIVE_UP_S) == []


def test_a_receiver_gets_only_its_rules() -> None:
    other = AlertReceiver(name="ops", urls=("json://x",), rules=("queue_*",))
    assert list_due(ALERT, receiver=other) == []
