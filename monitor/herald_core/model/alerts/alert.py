"""An alert, as every interface shows it. Pure.

An alert is stored as a document of the kind `alerts`, one for each rule and subject. It
is stored in one step together with the notices that are to be sent about it: whoever
sends them can be replaced at any moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

ALERT_KIND = "alerts"
"""The kind of documents that alerts are."""

FIRING = "firing"
RESOLVED = "resolved"
ALERT_STATES = (FIRING, RESOLVED)

FIRED = "fired"
REPEATED = "repeated"
NOTICE_TYPES = (FIRED, REPEATED, RESOLVED)

SEVERITIES = ("info", "warning", "critical")
"""Severities of alerts, the least first."""

MAX_NOTICES = 20
"""Notices that an alert keeps, the newest."""


class AlertNotice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sent once to each receiver: that an alert fired, still fires, or ended.

    `id` is the same whenever and by whichever process the notice is sent. `at` is
    RFC 3339.
    """

    id: str
    type: str
    at: str
    title: str
    message: str = ""
    severity: str = "warning"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that exists now: what `rule` found about `subject`.

    `since` is in unix seconds.
    """

    rule: str
    subject: str
    title: str
    message: str = ""
    severity: str = "warning"
    since: float


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem that fires or is resolved.

    `subject` is what the rule is about: a task name, queue, hostname, schedule or
    endpoint. `episode` counts how often it fired. `since` is when the problem began,
    `fired_at` when Herald noticed it, `message_at` when `message` was true. `change`
    says what this change of the document reports: `fired`, `repeated`, `resolved`, or
    nothing. `announced`: receivers were told that it fires. `silenced_by` said that
    they are not, until `silenced_until`. Times are RFC 3339.
    """

    id: str
    rule: str
    subject: str
    state: str
    severity: str
    title: str
    message: str = ""
    since: str
    fired_at: str
    message_at: str
    resolved_at: str | None = None
    episode: int = 1
    change: str | None = None
    announced: bool = False
    silenced_until: str | None = None
    silenced_by: str | None = None
    notices: tuple[AlertNotice, ...] = ()


def make_alert_id(rule: str, subject: str) -> str:
    """Return the id of the alert of `rule` about `subject`."""
    return hashlib.sha256(f"{rule}\0{subject}".encode()).hexdigest()[:16]


def to_document_data(alert: Alert) -> dict[str, Any]:
    """Return `alert` as the data of its document, whose id is that of the alert."""
    data: dict[str, Any] = msgspec.to_builtins(alert)
    del data["id"]
    return data


def from_document_data(id_: str, data: Mapping[str, Any]) -> Alert:
    """Return the alert in a document. Raises `msgspec.ValidationError`."""
    return msgspec.convert({**data, "id": id_}, Alert)
