"""Find the problems that the rules of alerts are about. Pure.

Each function looks for one kind of rule. It returns the problems that exist at `now`
(unix seconds), and when the same facts will lead to another answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from herald_core.model.gaps import OPEN, UNREPAIRABLE
from herald_core.model.rollups.rollup import MINUTE_S, OTHER_PART
from herald_core.model.tasks.views import LOST, TaskView, from_rfc3339
from herald_core.model.workers.worker import SILENT
from herald_server.alerts import rules
from herald_server.alerts.facts import AlertFacts
from herald_server.alerts.rules import AlertRule
from herald_server.insight.duration_text import humanize
from herald_server.insight.queues import compute_oldest_age
from herald_server.insight.stats.failures import RECENT_S
from herald_server.insight.stats.suspects import SLACK_FACTOR

MISSED_KINDS = ("missed", "beat_silent")
GAP_SUBJECT = "events"
BLIND_SUBJECT = "herald"


class Finding(msgspec.Struct, frozen=True):
    """A problem with `subject`; `since` is in unix seconds, None if it is not known."""

    subject: str
    title: str
    message: str = ""
    since: float | None = None


class RuleFindings(msgspec.Struct, frozen=True):
    """The problems of one rule, and when they must be looked for again at the latest.

    `due` is in unix seconds; None: not before the facts change.
    """

    found: tuple[Finding, ...] = ()
    due: float | None = None


def find_problems(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    """Return the problems of `rule`, also those that do not last long enough yet."""
    found = _FINDERS[rule.kind](rule, facts, now)
    kept = tuple(one for one in found.found if rule.matches(one.subject))
    return RuleFindings(kept, found.due)


def _find_failing(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    found = tuple(
        Finding(
            one.name,
            f"{one.name} fails {_format_percent(one.rate)}",
            f"{one.failed} of {one.ended} runs failed in the last"
            f" {humanize(RECENT_S)}; usually {_format_percent(one.normal)}",
        )
        for one in facts.failing
        if one.unusual
    )
    # Failures leave the window without a change.
    return RuleFindings(found, now + MINUTE_S if facts.failing else None)


def _find_failed(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    counts: dict[str, int] = defaultdict(int)
    ends = [minute.at + MINUTE_S + rule.window for minute in facts.minutes]
    for minute, end in zip(facts.minutes, ends, strict=True):
        if end > now:
            for name, ended in minute.names.items():
                counts[name] += ended.get("failed", 0)
    counts.pop(OTHER_PART, None)
    found = tuple(
        Finding(
            name,
            f"{name} failed {count} times",
            f"within {humanize(rule.window)}; the limit is {rule.count}",
        )
        for name, count in counts.items()
        if count >= rule.count
    )
    return RuleFindings(found, _get_next(ends, now) if found else None)


def _find_lost(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    names: dict[str, list[TaskView]] = defaultdict(list)
    for task in facts.lost:
        if task.state == LOST and _get_time(task.updated_at) > now - rule.window:
            names[task.name or "(unknown)"].append(task)
    found = tuple(
        Finding(
            name,
            f"{name}: {_count(len(lost), 'task')} lost",
            lost[0].reason or "their outcome is not known",
            min(_get_time(task.updated_at) for task in lost),
        )
        for name, lost in names.items()
    )
    ends = [_get_time(task.updated_at) + rule.window for task in facts.lost]
    return RuleFindings(found, _get_next(ends, now))


def _find_stuck(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    names: dict[str, list[tuple[float, TaskView]]] = defaultdict(list)
    later: list[float] = []
    for task in facts.running:
        p99 = facts.limits.get(task.name or "")
        if p99 is None or task.started_at is None:
            continue
        limit = max(p99 * SLACK_FACTOR, rule.limit)
        due = from_rfc3339(task.started_at) + limit
        if due <= now:
            names[task.name or ""].append((due, task))
        else:
            later.append(due)
    found = tuple(
        Finding(
            name,
            f"{name} runs unusually long",
            f"{_count(len(stuck), 'task')} beyond the usual"
            f" {humanize(facts.limits[name])} of 99 % of the runs, such as"
            f" {min(stuck, key=lambda one: one[0])[1].id}",
            min(due for due, _ in stuck),
        )
        for name, stuck in names.items()
    )
    return RuleFindings(found, _get_next(later, now))


def _find_unconsumed(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    return RuleFindings(
        tuple(
            Finding(
                one.name,
                f"Queue {one.name} has no consumer",
                f"{_count(one.depth or 0, 'message')} waiting: start a worker with -Q"
                f" {one.name}",
                from_rfc3339(one.oldest_at) if one.oldest_at else None,
            )
            for one in facts.queues
            if one.is_unconsumed
        )
    )


def _find_old(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    found: list[Finding] = []
    later: list[float] = []
    for queue in facts.queues:
        age = compute_oldest_age(queue, now)
        if age is None:
            continue
        if age < rule.limit:
            later.append(now - age + rule.limit)
            continue
        found.append(
            Finding(
                queue.name,
                f"Queue {queue.name} is too old",
                f"the oldest of {_count(queue.depth or 0, 'message')} has waited for"
                f" {humanize(age)}; the limit is {humanize(rule.limit)}",
                now - age + rule.limit,
            )
        )
    return RuleFindings(tuple(found), _get_next(later, now))


def _find_silent(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    return RuleFindings(
        tuple(
            Finding(
                one.hostname,
                f"Worker {one.hostname} is silent",
                one.note or "",
                _get_time(one.last_heartbeat_at) or None,
            )
            for one in facts.workers
            if one.state == SILENT
        )
    )


def _find_gap(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    open_ = [gap for gap in facts.gaps if gap.state == OPEN]
    ended = [gap for gap in facts.gaps if gap.state == UNREPAIRABLE]
    broken = [gap for gap in ended if _get_time(gap.until) > now - rule.window]
    due = _get_next([_get_time(gap.until) + rule.window for gap in ended], now)
    if not open_ and not broken:
        return RuleFindings((), due)
    gap = (broken or open_)[0]
    title = "Events are missing" if broken else "Events may be missing"
    message = f"since {gap.since}: {gap.unrepaired or gap.reason}"
    since = min(_get_time(one.since) for one in (broken or open_))
    return RuleFindings((Finding(GAP_SUBJECT, title, message, since),), due)


def _find_missed(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    return RuleFindings(
        tuple(
            Finding(
                one.get("source", "") if _is_scheduler_silent(one) else one["name"],
                "The scheduler submits nothing"
                if _is_scheduler_silent(one)
                else f"{one['name']} did not run",
                one["message"],
                _get_time(one.get("since")) or None,
            )
            for one in facts.schedules
            if one["kind"] in MISSED_KINDS
        )
    )


def _is_scheduler_silent(alert: Mapping[str, object]) -> bool:
    return alert["kind"] == "beat_silent"


def _find_webhooks(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    return RuleFindings(
        tuple(
            Finding(one.id, f"Webhook {one.id} is off", one.reason, one.since)
            for one in facts.webhooks
        )
    )


def _find_blind(rule: AlertRule, facts: AlertFacts, now: float) -> RuleFindings:
    stale = facts.staleness
    if stale is None:
        return RuleFindings()
    since = _get_time(stale.since) or None
    title = "Herald receives no events"
    return RuleFindings((Finding(BLIND_SUBJECT, title, stale.reason, since),))


_FINDERS: Mapping[str, Callable[[AlertRule, AlertFacts, float], RuleFindings]] = {
    rules.TASK_FAILING: _find_failing,
    rules.TASK_FAILED: _find_failed,
    rules.TASK_LOST: _find_lost,
    rules.TASK_STUCK: _find_stuck,
    rules.QUEUE_UNCONSUMED: _find_unconsumed,
    rules.QUEUE_OLD: _find_old,
    rules.WORKER_SILENT: _find_silent,
    rules.GAP: _find_gap,
    rules.SCHEDULE_MISSED: _find_missed,
    rules.WEBHOOK_OFF: _find_webhooks,
    rules.MONITOR_BLIND: _find_blind,
}


def _get_time(text: str | None) -> float:
    return from_rfc3339(text) if text else 0.0


def _get_next(times: Iterable[float], now: float) -> float | None:
    return min((at for at in times if at > now), default=None)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _format_percent(share: float | None) -> str:
    return "never" if not share else f"{100 * share:.3g} %"
