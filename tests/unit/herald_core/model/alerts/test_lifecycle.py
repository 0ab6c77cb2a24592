"""An alert fires once, is repeated when told to, and is resolved once."""

from msgspec.structs import replace

from herald_core.model.alerts.alert import (
    FIRED,
    FIRING,
    MAX_NOTICES,
    REPEATED,
    RESOLVED,
    Alert,
    Condition,
)
from herald_core.model.alerts.lifecycle import (
    MESSAGE_REFRESH_S,
    find_due,
    fire,
    get_noticed_at,
    mark_silence,
    resolve,
)
from herald_core.model.alerts.silence import Silence
from herald_core.model.tasks.views import to_rfc3339

NOW = 1_000_000.0
CONDITION = Condition(
    rule="queue_old", subject="reports", title="old", message="5 wait", since=NOW - 60
)
SILENCE = Silence(id="si_1", until=NOW + 600, by="ann")


def begin(now: float = NOW, silence: Silence | None = None) -> Alert:
    return fire(None, CONDITION, silence, None, now)


def list_types(alert: Alert) -> list[str]:
    return [notice.type for notice in alert.notices]


def test_a_problem_fires() -> None:
    alert = begin()
    assert (alert.state, alert.change, alert.announced) == (FIRING, FIRED, True)
    assert (alert.since, alert.fired_at) == (to_rfc3339(NOW - 60), to_rfc3339(NOW))
    assert list_types(alert) == [FIRED]
    assert alert.notices[0].id == f"{alert.id}-1-1-fired"


def test_a_firing_alert_is_not_reported_again() -> None:
    alert = begin()
    assert fire(alert, CONDITION, None, None, NOW + 1) is alert


def test_a_beginning_in_the_future_is_now() -> None:
    alert = fire(None, replace(CONDITION, since=NOW + 5), None, None, NOW)
    assert alert.since == to_rfc3339(NOW)


def test_an_alert_is_resolved_and_reported_once() -> None:
    alert = resolve(begin(), NOW + 10)
    assert (alert.state, alert.change) == (RESOLVED, RESOLVED)
    assert alert.resolved_at == to_rfc3339(NOW + 10)
    assert list_types(alert) == [FIRED, RESOLVED]
    assert resolve(alert, NOW + 20) is alert


def test_a_second_episode_has_other_notices() -> None:
    alert = fire(resolve(begin(), NOW + 1), CONDITION, None, None, NOW + 2)
    assert alert.episode == 2
    assert alert.resolved_at is None
    assert list_types(alert) == [FIRED, RESOLVED, FIRED]
    assert alert.notices[-1].id == f"{alert.id}-2-1-fired"


def test_it_is_repeated_after_its_interval() -> None:
    alert = begin()
    assert fire(alert, CONDITION, None, 100.0, NOW + 99) is alert
    again = fire(alert, CONDITION, None, 100.0, NOW + 100)
    assert again.change == REPEATED
    assert again.notices[-1].id == f"{alert.id}-1-2-repeated"


def test_ids_of_notices_stay_unique_beyond_those_that_are_kept() -> None:
    alert, ids = begin(), set[str]()
    for number in range(MAX_NOTICES * 2):
        alert = fire(alert, CONDITION, None, 1.0, NOW + 1 + number)
        ids.add(alert.notices[-1].id)
    assert len(alert.notices) == MAX_NOTICES
    assert len(ids) == MAX_NOTICES * 2


def test_a_silenced_alert_fires_unreported() -> None:
    alert = begin(silence=SILENCE)
    assert (alert.state, alert.change, alert.announced) == (FIRING, None, False)
    assert alert.silenced_by == "ann"
    assert fire(alert, CONDITION, SILENCE, 1.0, NOW + 50) is alert


def test_it_is_reported_once_the_silence_is_over() -> None:
    alert = fire(begin(silence=SILENCE), CONDITION, None, None, NOW + 700)
    assert (alert.change, alert.silenced_until) == (FIRED, None)


def test_the_end_of_what_was_never_reported_is_not_reported() -> None:
    alert = resolve(begin(silence=SILENCE), NOW + 1)
    assert (alert.state, alert.change, alert.notices) == (RESOLVED, None, ())


def test_the_end_of_what_was_reported_is_reported_although_silenced() -> None:
    alert = resolve(mark_silence(begin(), SILENCE), NOW + 1)
    assert list_types(alert) == [FIRED, RESOLVED]
    assert alert.silenced_until is None


def test_a_silence_is_no_news() -> None:
    alert = mark_silence(begin(), SILENCE)
    assert alert.change is None
    assert mark_silence(alert, SILENCE) is alert


def test_figures_are_renewed_now_and_then() -> None:
    alert, later = begin(), replace(CONDITION, message="6 wait")
    assert fire(alert, later, None, None, NOW + 1) is alert
    renewed = fire(alert, later, None, None, NOW + MESSAGE_REFRESH_S)
    assert (renewed.message, renewed.change) == ("6 wait", None)
    assert list_types(renewed) == [FIRED]


def test_another_title_is_taken_at_once() -> None:
    renewed = fire(begin(), replace(CONDITION, title="older"), None, None, NOW + 1)
    assert (renewed.title, renewed.change) == ("older", None)


def test_it_changes_by_itself_when_it_is_to_be_repeated() -> None:
    assert find_due(begin(), 60.0) == NOW + 60
    assert find_due(begin(), None) is None
    assert find_due(begin(silence=SILENCE), 60.0) == NOW + 600
    assert find_due(replace(begin(), announced=False), 60.0) is None


def test_without_notices_none_was_made() -> None:
    assert get_noticed_at(replace(begin(), notices=())) == 0.0
