"""What became of each notice for each receiver, and what is to be sent now. Pure.

The record of a notice is stored as `claimed` before it is sent, and as `sent` after. A
process that takes over sends what has no record, and what failed. What was claimed by
another process and not concluded may have been sent: it is sent with a remark that it
may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from herald_core.model.alerts.alert import Alert, AlertNotice
from herald_core.model.tasks.views import from_rfc3339
from herald_server.alerts.receivers import AlertReceiver
from herald_server.insight.stats.rollup_cache import DAY_S

RECORD_KIND = "alert-deliveries"
RECORD_TTL_S = 2 * DAY_S
"""Seconds for which a record is stored: longer than its notice is sent."""

GIVE_UP_S = DAY_S
"""Age in seconds of a notice that is sent no more."""

CLAIMED = "claimed"
SENT = "sent"
FAILED = "failed"


class DeliveryRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The state of one notice for one receiver.

    `due` is the time of the next attempt after a failure, in unix seconds.
    """

    state: str
    attempts: int = 1
    due: float = 0.0
    error: str = ""


class PendingNotice(msgspec.Struct, frozen=True):
    """A notice that a receiver has not got; `due` is in unix seconds."""

    notice: AlertNotice
    key: str
    due: float
    record: DeliveryRecord | None


def make_record_key(notice_id: str, receiver: str) -> str:
    """Return the id of the record of a notice for a receiver."""
    return f"{notice_id}.{receiver}"


def list_pending(
    alerts: Iterable[Alert],
    receiver: AlertReceiver,
    records: Mapping[str, DeliveryRecord],
    group_wait: float,
    now: float,
) -> list[PendingNotice]:
    """Return what is to be sent to `receiver`, in order."""
    found: list[PendingNotice] = []
    for alert in alerts:
        for notice in alert.notices:
            at = from_rfc3339(notice.at)
            key = make_record_key(notice.id, receiver.name)
            record = records.get(key)
            if (
                now - at >= GIVE_UP_S
                or (record is not None and record.state == SENT)
                or not receiver.matches(alert.rule, notice.severity)
            ):
                continue
            due = at + group_wait if record is None else record.due
            found.append(PendingNotice(notice, key, due, record))
    return sorted(found, key=lambda one: one.notice.at)
