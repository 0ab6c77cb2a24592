"""Which problems last long enough to be alerts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from herald_core.model.alerts.alert import Condition, make_alert_id
from herald_server.alerts.facts import PARTS, AlertFacts, FactPart
from herald_server.alerts.findings import Finding, find_problems
from herald_server.alerts.rules import AlertRule

MAX_SUBJECTS = 20
"""Alerts of one rule at a time; further subjects are one alert together."""

OTHER_SUBJECTS = "(other)"


class Judgement(msgspec.Struct, frozen=True):
    """The alerts that exist, by id, and when each part of the facts is needed again.

    A part is read again when time alone may lead to another answer. `first_seen` has
    the problems whose beginning is not known, by id of their alert: the time at which
    they were noticed. Times are in unix seconds.
    """

    conditions: Mapping[str, Condition]
    first_seen: Mapping[str, float]
    due: Mapping[FactPart, float]


def judge(
    rules: Iterable[AlertRule],
    facts: AlertFacts,
    first_seen: Mapping[str, float],
    now: float,
) -> Judgement:
    """Return what `rules` find in `facts`. `first_seen` is that of the last time."""
    conditions: dict[str, Condition] = {}
    seen: dict[str, float] = {}
    due: dict[FactPart, float] = {}
    for rule in rules:
        problems = find_problems(rule, facts, now)
        moments = [] if problems.due is None else [problems.due]
        for one in _fold(problems.found):
            id_ = make_alert_id(rule.name, one.subject)
            since = one.since
            if since is None:
                since = seen[id_] = first_seen.get(id_, now)
            if since + rule.hold > now:
                moments.append(since + rule.hold)
            else:
                conditions[id_] = _make_condition(rule, one, since)
        if moments:
            part = PARTS[rule.kind]
            due[part] = min(due.get(part, moments[0]), *moments)
    return Judgement(conditions, seen, due)


def _make_condition(rule: AlertRule, found: Finding, since: float) -> Condition:
    return Condition(
        rule=rule.name,
        subject=found.subject,
        title=found.title,
        message=found.message,
        severity=rule.severity,
        since=since,
    )


def _fold(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return at most `MAX_SUBJECTS` problems, the oldest, and one for the rest."""
    if len(found) <= MAX_SUBJECTS:
        return found
    ordered = sorted(found, key=lambda one: (one.since or 0.0, one.subject))
    rest = ordered[MAX_SUBJECTS:]
    folded = Finding(
        OTHER_SUBJECTS,
        f"{rest[0].title}, and {len(rest) - 1} more" if rest[1:] else rest[0].title,
        rest[0].message,
        min((one.since for one in rest if one.since is not None), default=None),
    )
    return (*ordered[:MAX_SUBJECTS], folded)
