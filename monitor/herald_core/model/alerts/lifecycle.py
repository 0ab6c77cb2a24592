"""The states of an alert: it fires, is repeated, and is resolved. Pure.

Each function returns the alert unchanged where it has nothing to say, so the writer
stores nothing. Two processes that write at once make one transition between them: an
update is applied to the stored alert.
"""

from __future__ import annotations

import msgspec

from herald_core.model.alerts.alert import (
    FIRED,
    FIRING,
    MAX_NOTICES,
    REPEATED,
    RESOLVED,
    Alert,
    AlertNotice,
    Condition,
    make_alert_id,
)
from herald_core.model.alerts.silence import Silence
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339

MESSAGE_REFRESH_S = 60.0
"""Seconds after which an alert gets the newest message without a notice."""


def fire(
    known: Alert | None,
    condition: Condition,
    silence: Silence | None,
    repeat_s: float | None,
    now: float,
) -> Alert:
    """Return the alert while `condition` exists at `now` (unix seconds).

    A firing alert is repeated after `repeat_s` seconds (None: never).
    """
    if known is None or known.state != FIRING:
        alert = _begin(known, condition, now)
    else:
        alert = _renew(known, condition, now)
    alert = mark_silence(alert, silence)
    if silence is not None:
        return alert
    if not alert.announced:
        return _announce(alert, condition, FIRED, now)
    if repeat_s is not None and now >= get_noticed_at(alert) + repeat_s:
        return _announce(alert, condition, REPEATED, now)
    return alert


def resolve(known: Alert, now: float) -> Alert:
    """Return the alert once its condition has gone. It is reported if it was before."""
    if known.state != FIRING:
        return known
    ended = msgspec.structs.replace(
        known,
        state=RESOLVED,
        resolved_at=to_rfc3339(now),
        change=RESOLVED,
        silenced_until=None,
        silenced_by=None,
    )
    if not known.announced:
        return msgspec.structs.replace(ended, change=None)
    return _add_notice(ended, RESOLVED, known.message, now)


def mark_silence(alert: Alert, silence: Silence | None) -> Alert:
    """Return the alert with who silenced it, and until when."""
    until = to_rfc3339(silence.until) if silence else None
    by = silence.by if silence else None
    if (alert.silenced_until, alert.silenced_by) == (until, by):
        return alert
    return msgspec.structs.replace(
        alert, silenced_until=until, silenced_by=by, change=None
    )


def find_due(alert: Alert, repeat_s: float | None) -> float | None:
    """Return when a firing alert changes by itself (unix seconds); None: never."""
    if alert.silenced_until is not None:
        return from_rfc3339(alert.silenced_until)
    if repeat_s is None or not alert.announced:
        return None
    return get_noticed_at(alert) + repeat_s


def get_noticed_at(alert: Alert) -> float:
    """Return the time of the newest notice (unix seconds); 0 if there is none."""
    return from_rfc3339(alert.notices[-1].at) if alert.notices else 0.0


def _begin(known: Alert | None, condition: Condition, now: float) -> Alert:
    at = to_rfc3339(now)
    return Alert(
        id=make_alert_id(condition.rule, condition.subject),
        rule=condition.rule,
        subject=condition.subject,
        state=FIRING,
        severity=condition.severity,
        title=condition.title,
        message=condition.message,
        since=to_rfc3339(min(condition.since, now)),
        fired_at=at,
        message_at=at,
        episode=known.episode + 1 if known else 1,
        notices=known.notices if known else (),
    )


def _renew(known: Alert, condition: Condition, now: float) -> Alert:
    is_same = (known.title, known.message) == (condition.title, condition.message)
    is_fresh = now < from_rfc3339(known.message_at) + MESSAGE_REFRESH_S
    if is_same or (is_fresh and known.title == condition.title):
        return known
    return msgspec.structs.replace(
        known,
        title=condition.title,
        message=condition.message,
        message_at=to_rfc3339(now),
        change=None,
    )


def _announce(alert: Alert, condition: Condition, type_: str, now: float) -> Alert:
    told = msgspec.structs.replace(
        alert,
        title=condition.title,
        message=condition.message,
        severity=condition.severity,
        message_at=to_rfc3339(now),
        announced=True,
        change=type_,
    )
    return _add_notice(told, type_, condition.message, now)


def _add_notice(alert: Alert, type_: str, message: str, now: float) -> Alert:
    notice = AlertNotice(
        f"{alert.id}-{alert.episode}-{_count_notices(alert) + 1}-{type_}",
        type_,
        to_rfc3339(now),
        alert.title,
        message,
        alert.severity,
    )
    return msgspec.structs.replace(
        alert, notices=(*alert.notices, notice)[-MAX_NOTICES:]
    )


def _count_notices(alert: Alert) -> int:
    """Return how many notices its present episode has had."""
    if not alert.notices:
        return 0
    _, episode, number, _ = alert.notices[-1].id.split("-")
    return int(number) if int(episode) == alert.episode else 0
