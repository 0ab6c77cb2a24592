"""Rules: facts → findings, each with its fix. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from herald_core.system.error_sentences import KIND_LOGIN, KIND_RIGHTS, KIND_TLS
from herald_server.cli.doctor.outbox_rules import check_outbox
from herald_server.cli.doctor.report import (
    ERROR,
    NOTE,
    WARNING,
    Endpoint,
    Finding,
    InstallationFacts,
)
from herald_server.cli.doctor.worker_rules import TASK_EVENTS_SETTING, check_workers

SENT_EVENT_SETTING = "task_send_sent_event"
RESULT_EXTENDED_SETTING = "result_extended"


def find_problems(facts: InstallationFacts) -> list[Finding]:
    """Return all findings, the most severe first."""
    said = [
        *_check_endpoints(facts),
        *check_workers(facts),
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


def read_app_settings(conf: Mapping[str, object]) -> dict[str, object]:
    """Return the checked settings of an app."""
    return {
        key: conf.get(key)
        for key in (SENT_EVENT_SETTING, TASK_EVENTS_SETTING, RESULT_EXTENDED_SETTING)
    }
