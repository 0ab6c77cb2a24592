"""Facts → findings, each with the line that mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from herald_monitor.refusals import LOGIN, RIGHTS, TLS
from herald_server.doctor.facts import (
    ERROR,
    NOTE,
    WARNING,
    Facts,
    Finding,
    Place,
    WorkerFacts,
)

SKEW = 2.0
"""Seconds by which a clock may be wrong before times mislead people."""

OLDEST = (5, 4)
"""Celery before this is not tried by Herald's tests."""

BETTER = (5, 7)
"""Celery before this loses `task-succeeded` of tasks that span a reconnect to the
broker (celery#10383)."""

SENT = "task_send_sent_event"
EVENTS = "worker_send_task_events"
EXTENDED = "result_extended"

Say = Callable[[WorkerFacts], bool]


def findings(facts: Facts) -> list[Finding]:
    """Return all that is to be said, the worst first."""
    said = [
        *_places(facts),
        *_workers(facts),
        *_settings(facts),
        *_herald(facts),
    ]
    order = (ERROR, WARNING, NOTE)
    return sorted(said, key=lambda one: order.index(one.level))


def healthy(said: Sequence[Finding]) -> bool:
    """Say whether there is nothing to be done."""
    return all(one.level == NOTE for one in said)


def _places(facts: Facts) -> Iterator[Finding]:
    yield from _place(facts.broker, "broker")
    if facts.unasked:
        why, fix = facts.unasked
        message = f"The workers cannot be asked through {facts.broker.url}: {why}"
        yield Finding(ERROR, "workers_unasked", message, fix)
    if facts.shortcomings:
        yield Finding(WARNING, "broker_kind", facts.shortcomings)
    yield from _options(facts)
    if facts.backend is None:
        yield Finding(
            NOTE,
            "no_backend",
            "There is no result backend, so an ending that no event told cannot be "
            "found out.",
            'app.conf.result_backend = "redis://HOST/1"',
        )
    else:
        yield from _place(facts.backend, "result backend")
    if facts.store is not None:
        yield from _place(facts.store, "store")


def _options(facts: Facts) -> Iterator[Finding]:
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


REFUSED = {LOGIN: "login", RIGHTS: "rights", TLS: "tls"}
"""Kinds of causes that have a code of their own; others are `…_unreachable`."""


def _place(place: Place, what: str) -> Iterator[Finding]:
    code = what.replace(" ", "_")
    if place.problem:
        message = f"The {what} {place.url}: {place.problem}"
        kind = REFUSED.get(place.kind, "unreachable")
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


def _workers(facts: Facts) -> Iterator[Finding]:
    if not facts.workers:
        if facts.broker.reachable and facts.asked and not facts.shortcomings:
            yield Finding(
                WARNING,
                "no_worker",
                "No worker answers on this broker.",
                "celery -A PROJECT worker -E",
            )
        return
    yield from _about(
        facts,
        lambda one: one.events is False,
        WARNING,
        "events_off",
        "send no events of tasks until a monitor asks for them; what they do before "
        "that is not heard.",
        f"app.conf.{EVENTS} = True, or start them with -E",
    )
    yield from _about(
        facts,
        # While a monitor hears them it has turned events on, so nobody can tell.
        lambda one: bool(facts.monitors and one.events and not one.conf.get(EVENTS)),
        NOTE,
        "events_at_run_time",
        "have worker_send_task_events off: unless they were started with -E, a monitor "
        "turned events on, and their first moments are not heard.",
        f"app.conf.{EVENTS} = True, or start them with -E",
    )
    yield from _about(
        facts,
        lambda one: not one.beats,
        WARNING,
        "no_heartbeat",
        "send no heartbeat, so that nobody can tell when they die.",
        "start them without --without-heartbeat",
    )
    for one in facts.workers:
        if one.skew is not None and abs(one.skew) > SKEW:
            way = "ahead" if one.skew > 0 else "behind"
            yield Finding(
                WARNING,
                "clock_skew",
                f"The clock of {one.hostname} is {abs(one.skew):.0f} s {way} of this "
                "machine's; times of its tasks are wrong by as much.",
                "timedatectl set-ntp true",
                (one.hostname,),
            )
    yield from _versions(facts)
    yield from _about(
        facts,
        lambda one: bool(one.silent),
        NOTE,
        "silent_tasks",
        f"have tasks with send_events=False ({_silent(facts.workers)}), of which "
        "nothing is heard but their results.",
        "@app.task(send_events=True)",
    )


def _versions(facts: Facts) -> Iterator[Finding]:
    yield from _about(
        facts,
        lambda one: _before(one.version, OLDEST),
        WARNING,
        "old_celery",
        "run a Celery that Herald was never tried with.",
        'pip install -U "celery>=5.7"',
    )
    yield from _about(
        facts,
        lambda one: _before(one.version, BETTER) and not _before(one.version, OLDEST),
        NOTE,
        "older_celery",
        "run a Celery before 5.7, which loses the ending of a task that was under way "
        "while the broker was away; Herald finds it in the result backend.",
        'pip install -U "celery>=5.7"',
    )


def _settings(facts: Facts) -> Iterator[Finding]:
    yield from _off(
        facts,
        SENT,
        "Whoever sends tasks does not tell of it, so a task is not known before a "
        "worker receives it, nor its queue. It is the setting of those that send.",
    )
    if facts.backend is not None:
        yield from _off(
            facts,
            EXTENDED,
            "Results are stored without the name, arguments and worker of their task, "
            "so less can be repaired from them.",
        )


def _off(facts: Facts, setting: str, message: str) -> Iterator[Finding]:
    off = tuple(o.hostname for o in facts.workers if o.conf.get(setting) is False)
    ours = facts.ours is not None and facts.ours.get(setting) is False
    if off or ours:
        yield Finding(
            WARNING, f"{setting}_off", message, f"app.conf.{setting} = True", off
        )


def _herald(facts: Facts) -> Iterator[Finding]:
    for problem in facts.problems:
        yield Finding(WARNING, "module_not_imported", problem)
    if facts.monitors == 0:
        yield Finding(
            NOTE,
            "no_monitor",
            "No monitor of Herald hears this broker now.",
            "herald up -A PROJECT",
        )


def _about(
    facts: Facts, say: Say, level: str, code: str, message: str, fix: str
) -> Iterator[Finding]:
    hosts = tuple(one.hostname for one in facts.workers if say(one))
    if hosts:
        named = ", ".join(hosts[:5]) + (
            f" and {len(hosts) - 5} more" if len(hosts) > 5 else ""
        )
        yield Finding(level, code, f"{named} {message}", fix, hosts)


def _silent(workers: Sequence[WorkerFacts]) -> str:
    names = sorted({name for one in workers for name in one.silent})
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _before(version: str, least: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < least


def settings_of(conf: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of an app that are looked at."""
    return {key: conf.get(key) for key in (SENT, EVENTS, EXTENDED)}
