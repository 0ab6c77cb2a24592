"""The text of notices for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_core.model.alerts.alert import FIRED, REPEATED, RESOLVED, AlertNotice

MAX_LISTED = 20
"""Notices that one message lists."""

REPEAT_NOTE = "(Possibly repeated: the server that sent this first was stopped.)"

VERBS = {FIRED: "", REPEATED: "Still: ", RESOLVED: "Resolved: "}


class AlertText(msgspec.Struct, frozen=True):
    """A message about notices. `type` is one of Apprise's types of messages."""

    title: str
    body: str
    type: str


def compose_text(notices: Sequence[AlertNotice], is_repeated: bool) -> AlertText:
    """Return the message about `notices`, of which there is at least one.

    `is_repeated`: an earlier attempt may have reached the receiver.
    """
    body = [_format_body(notices)]
    body += [REPEAT_NOTE] if is_repeated else []
    return AlertText(
        _format_title(notices),
        "\n".join(part for part in body if part),
        _find_type(notices),
    )


def _format_title(notices: Sequence[AlertNotice]) -> str:
    if len(notices) == 1:
        return f"{VERBS[notices[0].type]}{notices[0].title}"
    ended = sum(one.type == RESOLVED for one in notices)
    fired = len(notices) - ended
    parts = [f"{fired} alert{'' if fired == 1 else 's'}"] if fired else []
    parts += [f"{ended} resolved"] if ended else []
    return ", ".join(parts)


def _format_body(notices: Sequence[AlertNotice]) -> str:
    if len(notices) == 1:
        return notices[0].message or f"since {notices[0].at}"
    lines = [
        f"{VERBS[one.type]}{one.title}{f': {one.message}' if one.message else ''}"
        for one in notices[:MAX_LISTED]
    ]
    more = len(notices) - MAX_LISTED
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _find_type(notices: Sequence[AlertNotice]) -> str:
    worst = {one.severity for one in notices if one.type != RESOLVED}
    if not worst:
        return "success"
    if "critical" in worst:
        return "failure"
    return "warning" if "warning" in worst else "info"
