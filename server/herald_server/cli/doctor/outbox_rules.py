"""Rules about the outbox: facts → findings, each with its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from herald_server.cli.doctor.report import (
    ERROR,
    NOTE,
    WARNING,
    Finding,
    InstallationFacts,
    OutboxFacts,
    StreamFacts,
)

MAX_BEHIND_S = 30.0
"""Seconds of unread events from which on the monitors do not keep up."""

MAX_NAMES = 5

ADD_OPTION = "celery -A PROJECT worker -I herald_worker.auto"
INSTALL = "herald_worker.install(app), where the sending processes make their app"


def check_outbox(facts: InstallationFacts) -> Iterator[Finding]:
    """Yield what is wrong with the outbox, and who runs without it."""
    outbox = facts.outbox
    if outbox is not None and outbox.missing:
        yield _describe_missing_rights(outbox)
    elif outbox is not None and outbox.place.is_reachable:
        yield from _check_streams(outbox.streams, facts.monitors)
    yield from _check_users(facts)


def _describe_missing_rights(outbox: OutboxFacts) -> Finding:
    grants = " ".join(f"+{command.lower()}" for command in outbox.missing)
    return Finding(
        ERROR,
        "outbox_rights",
        f"The outbox {outbox.place.url}: {', '.join(outbox.missing)} "
        f"{'is' if len(outbox.missing) == 1 else 'are'} not allowed for this user, so "
        "Herald cannot read it.",
        f"ACL SETUSER USER ~herald:outbox* {grants}",
    )


def _check_streams(
    streams: Sequence[StreamFacts], monitors: int | None
) -> Iterator[Finding]:
    waiting = [one for one in streams if one.exists and not one.has_group]
    if waiting and monitors:
        yield Finding(
            WARNING,
            "outbox_not_read",
            f"No monitor has read the outbox ({_list_names(waiting)}), though one is "
            "connected: it looks elsewhere, or for another number of streams.",
            "the same HERALD_OUTBOX_URL, HERALD_OUTBOX_STREAM and "
            "HERALD_OUTBOX_STREAMS for monitors and workers",
        )
    behind = [one for one in streams if one.behind_s > MAX_BEHIND_S]
    if behind and monitors:
        seconds = max(one.behind_s for one in behind)
        yield Finding(
            WARNING,
            "outbox_behind",
            f"The monitors are {seconds:.0f} s behind in the outbox "
            f"({_list_names(behind)}).",
            "another herald monitor on the same store",
        )


def _check_users(facts: InstallationFacts) -> Iterator[Finding]:
    without = tuple(one.hostname for one in facts.workers if not one.outbox)
    if without:
        mixed = len(without) < len(facts.workers)
        message = "Of what they say while no monitor listens, only results are found."
        who = list_hosts(without) if mixed else "All workers"
        verb = "runs" if mixed and len(without) == 1 else "run"
        yield Finding(
            WARNING if mixed else NOTE,
            "no_outbox",
            f"{who} {verb} without the outbox. {message}",
            _add_url(ADD_OPTION, facts.outbox),
            without,
        )
    if facts.producers and len(without) < len(facts.workers):
        yield Finding(
            NOTE,
            "producers_without_outbox",
            f"Processes on {list_hosts(facts.producers)} announce the tasks that they "
            "send by the broker: while no monitor listens, nothing is known of a task "
            "until a worker receives it.",
            INSTALL,
        )


def _add_url(line: str, outbox: OutboxFacts | None) -> str:
    """Return the line to add; with the setting that is needed without Redis."""
    if outbox is not None:
        return line
    return f"{line}, with HERALD_OUTBOX_URL=redis://HOST/0 for it and for Herald"


def _list_names(streams: Sequence[StreamFacts]) -> str:
    return ", ".join(one.name for one in streams[:MAX_NAMES])


def list_hosts(hosts: Sequence[str]) -> str:
    """Return the first of `hosts`, and how many more there are."""
    more = f" and {len(hosts) - MAX_NAMES} more" if len(hosts) > MAX_NAMES else ""
    return ", ".join(hosts[:MAX_NAMES]) + more
