"""Rules: facts → findings, each with its fix. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from herald_core.system.error_sentences import KIND_LOGIN, KIND_RIGHTS, KIND_TLS
from herald_server.cli.doctor.outbox_rules import ADD_OPTION, check_outbox
from herald_server.cli.doctor.report import (
    ERROR,
    NOTE,
    WARNING,
    Endpoint,
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

SENT_EVENT_SETTING = "task_send_sent_event"
TASK_EVENTS_SETTING = "worker_send_task_events"
RESULT_EXTENDED_SETTING = "result_extended"

WorkerTest = Callable[[WorkerFacts], bool]


def find_problems(facts: InstallationFacts) -> list[Finding]:
    """Return all findings, the most severe first."""
    said = [
        *_check_endpoints(facts),
        *_check_workers(facts),
        *check_outbox(facts),
        *_check_settings(facts),
        *_check_herald(facts),
        *_check_pauses(facts),
    ]
    order = (ERROR, WARNING, NOTE)
    return sorted(said, key=lambda one: order.index(one.level))


def is_healthy(said: Sequence[Finding]) -> bool:
    """Return True if nothing needs fixing."""
    return all(one.level == NOTE for one in said)


def _check_endpoints(facts: InstallationFacts) -> Iterator[Finding]:
    yield from _check_endpoint(facts.broker, "broker")
    if facts.unasked:
        why, fix = facts.unasked
        message = f"The workers cannot be asked through {facts.broker.url}: {why}"
        yield Finding(ERROR, "workers_unasked", message, fix)
    if facts.shortcomings:
        # With the outbox nothing needs a change.
        level = WARNING if facts.outbox is None else NOTE
        yield Finding(level, "broker_kind", facts.shortcomings)
    yield from _check_options(facts)
    if facts.backend is None:
        yield Finding(
            NOTE,
            "no_backend",
            "There is no result backend, so the outcome of a task whose last event "
            "was lost cannot be found.",
            'app.conf.result_backend = "redis://HOST/1"',
        )
    else:
        yield from _check_endpoint(facts.backend, "result backend")
    if facts.outbox is not None:
        yield from _check_outbox_place(facts.outbox.place, facts.broker)
    if facts.store is not None:
        yield from _check_endpoint(facts.store, "store")


def _check_outbox_place(place: Endpoint, broker: Endpoint) -> Iterator[Finding]:
    if place.url != broker.url:
        yield from _check_endpoint(place, "outbox")


def _check_options(facts: InstallationFacts) -> Iterator[Finding]:
    for problem in facts.unseen:
        message = f"{problem[0].upper()}{problem[1:]}."
        yield Finding(ERROR, "options_unknown", message, "-A PROJECT")
    if facts.taken:
        yield Finding(
            NOTE,
            "options_taken_over",
            "Options that no URL carries were taken over from the workers: "
            f"{', '.join(facts.taken)}. While no worker is there to ask, a Herald that "
            "starts knows only what is given.",
            "-A PROJECT, or --transport-option NAME=VALUE",
        )


REFUSAL_CODES = {KIND_LOGIN: "login", KIND_RIGHTS: "rights", KIND_TLS: "tls"}
"""Kinds of causes that have a code of their own; others are `…_unreachable`."""


def _check_endpoint(place: Endpoint, what: str) -> Iterator[Finding]:
    code = what.replace(" ", "_")
    if place.problem:
        message = f"The {what} {place.url}: {place.problem}"
        kind = REFUSAL_CODES.get(place.kind, "unreachable")
        yield Finding(ERROR, f"{code}_{kind}", message, place.fix)
    if place.unseen:
        message = f"The {what} {place.url}: {place.unseen}."
        yield Finding(NOTE, f"{code}_unseen", message, "ACL SETUSER USER +info")
    if place.evicts:
        yield Finding(
            WARNING,
            f"{code}_evicts",
            f"The {what} {place.url} throws keys away when its memory is full "
            f"(maxmemory-policy {place.evicts}), and what was stored is gone.",
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf: "
            "maxmemory-policy noeviction",
        )


def _check_workers(facts: InstallationFacts) -> Iterator[Finding]:
    if not facts.workers:
        if facts.broker.is_reachable and facts.asked and not facts.shortcomings:
            yield Finding(
                WARNING,
                "no_worker",
                "No worker answers on this broker.",
                ADD_OPTION,
            )
        return
    yield from _describe_workers(
        facts,
        lambda one: one.events is False,
        WARNING,
        "events_off",
        "send no events of tasks until a monitor asks for them; what they do before "
        "that is not heard.",
        f"app.conf.{TASK_EVENTS_SETTING} = True, or start them with -E",
    )
    yield from _describe_workers(
        facts,
        # A connected monitor turned events on, so their setting is unknown.
        lambda one: bool(
            facts.monitors
            and one.events
            and not one.outbox
            and not one.conf.get(TASK_EVENTS_SETTING)
        ),
        NOTE,
        "events_at_run_time",
        "have worker_send_task_events off: unless they were started with -E, a monitor "
        "turned events on, and their first moments are not heard.",
        f"app.conf.{TASK_EVENTS_SETTING} = True, or start them with -E",
    )
    yield from _describe_workers(
        facts,
        lambda one: not one.beats,
        WARNING,
        "no_heartbeat",
        "send no heartbeat, so it cannot be detected when they stop.",
        "start them without --without-heartbeat",
    )
    for one in facts.workers:
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
    yield from _check_versions(facts)
    yield from _describe_workers(
        facts,
        lambda one: bool(one.silent),
        NOTE,
        "silent_tasks",
        f"have tasks with send_events=False ({_list_silent(facts.workers)}), of which "
        "nothing is heard but their results.",
        "@app.task(send_events=True)",
    )


def _check_versions(facts: InstallationFacts) -> Iterator[Finding]:
    yield from _describe_workers(
        facts,
        lambda one: _is_older(one.version, MIN_CELERY),
        WARNING,
        "old_celery",
        "run a Celery that Herald was never tried with.",
        'pip install -U "celery>=5.7"',
    )
    yield from _describe_workers(
        facts,
        lambda one: (
            _is_older(one.version, GOOD_CELERY)
            and not _is_older(one.version, MIN_CELERY)
        ),
        NOTE,
        "older_celery",
        "run a Celery before 5.7, which loses the ending of a task that was under way "
        "while the broker was away; Herald finds it in the result backend.",
        'pip install -U "celery>=5.7"',
    )


def _check_settings(facts: InstallationFacts) -> Iterator[Finding]:
    yield from _check_setting(
        facts,
        SENT_EVENT_SETTING,
        "The sending processes send no event, so a task and its queue are unknown "
        "until a worker receives it. It is a setting of the sending processes.",
    )
    if facts.backend is not None:
        yield from _check_setting(
            facts,
            RESULT_EXTENDED_SETTING,
            "Results are stored without the name, arguments and worker of their task, "
            "so less can be repaired from them.",
        )


def _check_setting(
    facts: InstallationFacts, setting: str, message: str
) -> Iterator[Finding]:
    off = tuple(o.hostname for o in facts.workers if o.conf.get(setting) is False)
    ours = facts.ours is not None and facts.ours.get(setting) is False
    if off or ours:
        yield Finding(
            WARNING, f"{setting}_off", message, f"app.conf.{setting} = True", off
        )


def _check_herald(facts: InstallationFacts) -> Iterator[Finding]:
    for problem in facts.problems:
        yield Finding(WARNING, "module_not_imported", problem)
    if facts.monitors == 0:
        yield Finding(
            NOTE,
            "no_monitor",
            "No monitor of Herald hears this broker now.",
            "herald up -A PROJECT",
        )


def _check_pauses(facts: InstallationFacts) -> Iterator[Finding]:
    for queue in facts.paused:
        yield Finding(
            NOTE,
            "queue_paused",
            f"The queue {queue.name!r} is paused by an order of {queue.who} since "
            f"{queue.since}: no worker consumes it until it is resumed.",
            f"herald queue resume {shlex.quote(queue.name)}",
        )


def _describe_workers(
    facts: InstallationFacts,
    say: WorkerTest,
    level: str,
    code: str,
    message: str,
    fix: str,
) -> Iterator[Finding]:
    hosts = tuple(one.hostname for one in facts.workers if say(one))
    if hosts:
        named = ", ".join(hosts[:5]) + (
            f" and {len(hosts) - 5} more" if len(hosts) > 5 else ""
        )
        yield Finding(level, code, f"{named} {message}", fix, hosts)


def _list_silent(workers: Sequence[WorkerFacts]) -> str:
    names = sorted({name for one in workers for name in one.silent})
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _is_older(version: str, least: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < least


def read_app_settings(conf: Mapping[str, object]) -> dict[str, object]:
    """Return the checked settings of an app."""
    return {
        key: conf.get(key)
        for key in (SENT_EVENT_SETTING, TASK_EVENTS_SETTING, RESULT_EXTENDED_SETTING)
    }
