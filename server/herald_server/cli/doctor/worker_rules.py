"""Rules about the workers: facts → findings, each with its fix. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from herald_server.cli.doctor.outbox_rules import ADD_OPTION, MAX_NAMES, list_hosts
from herald_server.cli.doctor.report import (
    NOTE,
    WARNING,
    Finding,
    InstallationFacts,
    WorkerFacts,
)

MAX_SKEW_S = 2.0
"""Seconds by which a clock may be wrong before times mislead."""

MIN_CELERY = (5, 3)
"""Celery before this is not tried by Herald's tests."""

GOOD_CELERY = (5, 7)
"""Celery before this loses `task-succeeded` of tasks that span a reconnect to the
broker (celery#10383)."""

TASK_EVENTS_SETTING = "worker_send_task_events"

TURN_EVENTS_ON = f"app.conf.{TASK_EVENTS_SETTING} = True, or start them with -E"
UPGRADE = 'pip install -U "celery>=5.7"'


@dataclass(frozen=True)
class WorkerRule:
    """A finding about those workers for which `applies` is true.

    The names of the workers stand before `message`.
    """

    level: str
    code: str
    message: str
    fix: str
    applies: Callable[[WorkerFacts], bool]


def _has_events_at_run_time(worker: WorkerFacts) -> bool:
    on = worker.conf.get(TASK_EVENTS_SETTING)
    return bool(worker.events and not worker.outbox and not on)


EVENTS_OFF = WorkerRule(
    WARNING,
    "events_off",
    "send no events of tasks until a monitor asks for them; what they do before "
    "that is not heard.",
    TURN_EVENTS_ON,
    lambda worker: worker.events is False,
)
EVENTS_AT_RUN_TIME = WorkerRule(
    NOTE,
    "events_at_run_time",
    "have worker_send_task_events off: unless they were started with -E, a monitor "
    "turned events on, and their first moments are not heard.",
    TURN_EVENTS_ON,
    _has_events_at_run_time,
)
NO_HEARTBEAT = WorkerRule(
    WARNING,
    "no_heartbeat",
    "send no heartbeat, so it cannot be detected when they stop.",
    "start them without --without-heartbeat",
    lambda worker: not worker.beats,
)
OLD_CELERY = WorkerRule(
    WARNING,
    "old_celery",
    "run a Celery that Herald was never tried with.",
    UPGRADE,
    lambda worker: _is_older(worker.version, MIN_CELERY),
)
OLDER_CELERY = WorkerRule(
    NOTE,
    "older_celery",
    "run a Celery before 5.7, which loses the ending of a task that was under way "
    "while the broker was away; Herald finds it in the result backend.",
    UPGRADE,
    lambda worker: (
        _is_older(worker.version, GOOD_CELERY)
        and not _is_older(worker.version, MIN_CELERY)
    ),
)


def check_workers(facts: InstallationFacts) -> Iterator[Finding]:
    """Yield what is wrong with the workers, or that there is none."""
    if not facts.workers:
        yield from _check_presence(facts)
        return
    yield from _apply(EVENTS_OFF, facts.workers)
    if facts.monitors:
        # Without a monitor nobody turned events on.
        yield from _apply(EVENTS_AT_RUN_TIME, facts.workers)
    yield from _apply(NO_HEARTBEAT, facts.workers)
    yield from _check_clocks(facts.workers)
    yield from _apply(OLD_CELERY, facts.workers)
    yield from _apply(OLDER_CELERY, facts.workers)
    yield from _check_silent_tasks(facts.workers)


def _check_presence(facts: InstallationFacts) -> Iterator[Finding]:
    if facts.broker.is_reachable and facts.asked and not facts.shortcomings:
        yield Finding(
            WARNING, "no_worker", "No worker answers on this broker.", ADD_OPTION
        )


def _apply(rule: WorkerRule, workers: Sequence[WorkerFacts]) -> Iterator[Finding]:
    hosts = tuple(one.hostname for one in workers if rule.applies(one))
    if hosts:
        message = f"{list_hosts(hosts)} {rule.message}"
        yield Finding(rule.level, rule.code, message, rule.fix, hosts)


def _check_clocks(workers: Sequence[WorkerFacts]) -> Iterator[Finding]:
    for one in workers:
        if one.skew is not None and abs(one.skew) > MAX_SKEW_S:
            way = "ahead" if one.skew > 0 else "behind"
            yield Finding(
                WARNING,
                "clock_skew",
                f"The clock of {one.hostname} is {abs(one.skew):.0f} s {way} of this "
                "machine's; times of its tasks are wrong by as much.",
                "timedatectl set-ntp true",
                (one.hostname,),
            )


def _check_silent_tasks(workers: Sequence[WorkerFacts]) -> Iterator[Finding]:
    names = sorted({name for one in workers for name in one.silent})
    listed = ", ".join(names[:MAX_NAMES]) + (" …" if len(names) > MAX_NAMES else "")
    rule = WorkerRule(
        NOTE,
        "silent_tasks",
        f"have tasks with send_events=False ({listed}), of which "
        "nothing is heard but their results.",
        "@app.task(send_events=True)",
        lambda worker: bool(worker.silent),
    )
    return _apply(rule, workers)


def _is_older(version: str, least: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < least
