"""`herald doctor`: check the installation and print how to fix problems."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_core.system.error_sentences import KIND_LOGIN, KIND_RIGHTS, KIND_TLS
from herald_server.cli.doctor.report import (
    ERROR,
    WARNING,
    Endpoint,
    Finding,
    InstallationFacts,
    OutboxFacts,
    StreamFacts,
    WorkerFacts,
)
from herald_server.cli.doctor.rules import find_problems, is_healthy
from herald_server.cli.formatting import cut_first_line, to_json_line
from herald_server.cli.server_options import (
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    combine_options,
)
from herald_server.wiring.settings import make_settings

COLOURS = {ERROR: "red", WARNING: "yellow"}
MAX_WIDTH = 1_000
PROBLEM_TEXTS = {
    KIND_LOGIN: "does not let Herald in",
    KIND_RIGHTS: "does not allow what Herald asks",
    KIND_TLS: "TLS does not match",
}
"""Texts for a server that answers with a refusal."""


@click.command()
@combine_options(SOURCE_OPTIONS, STORE_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool, **given: Any) -> None:
    """Check broker, result backend, workers and store, and say what to change.

    Give --broker (and --backend), or -A PROJECT. The command changes nothing and
    takes about ten seconds. The exit code is 0 if nothing needs a change, else 1.
    """
    facts = asyncio.run(_collect_facts(given))
    said = find_problems(facts)
    if as_json:
        told = {"healthy": is_healthy(said), "findings": said, "facts": facts}
        click.echo(to_json_line(told))
    else:
        for line in (*_format_facts(facts), "", *_format_findings(said)):
            click.echo(line)
    ctx.exit(0 if is_healthy(said) else 1)


async def _collect_facts(given: dict[str, Any]) -> InstallationFacts:
    from herald_monitor.runtime.process import load_celery_app
    from herald_server.cli.doctor.collect import collect
    from herald_server.wiring.launcher import use_running_store

    settings = make_settings(**given)
    app = load_celery_app(settings)
    found = use_running_store(settings, app)
    return await collect(found, app, store="store_url" in found.model_fields_set)


def _format_facts(facts: InstallationFacts) -> list[str]:
    ours = ", ".join(f"{name} {number}" for name, number in facts.versions.items())
    lines = [
        _format_row("here", ours),
        _format_row("broker", _format_endpoint(facts.broker)),
        _format_row(
            "backend", _format_endpoint(facts.backend) if facts.backend else "none"
        ),
        *_format_outbox(facts.outbox),
        _format_row(
            "store",
            _format_endpoint(facts.store) if facts.store else "none runs here yet",
        ),
        _format_row("workers", str(len(facts.workers)) if facts.asked else "not asked"),
    ]
    return lines + [_format_row("", _format_worker(one)) for one in facts.workers]


def _format_outbox(outbox: OutboxFacts | None) -> list[str]:
    if outbox is None:
        return []
    lines = [_format_row("outbox", _format_endpoint(outbox.place))]
    return lines + [_format_row("", _format_stream(one)) for one in outbox.streams]


def _format_stream(stream: StreamFacts) -> str:
    if not stream.exists:
        return f"{stream.name}  empty: no worker has written to it"
    if not stream.has_group:
        return f"{stream.name}  {stream.entries} entries, read by no monitor yet"
    unread = "some" if stream.unread is None else stream.unread
    said = f"{stream.name}  {stream.entries} entries, {unread} unread"
    return f"{said}, {stream.pending} not stored yet, {stream.behind_s:.1f} s behind"


def _format_endpoint(place: Endpoint) -> str:
    good = f"{place.software}, reachable" if place.software else "reachable"
    bad = PROBLEM_TEXTS.get(place.kind, "not reachable")
    return cut_first_line(
        f"{place.url}  {good if place.is_reachable else bad}", MAX_WIDTH
    )


def _format_worker(one: WorkerFacts) -> str:
    events = {True: "on", False: "off", None: "unknown"}[one.events]
    clock = "unknown" if one.skew is None else f"{one.skew:+.1f} s"
    version = one.version or "of an unknown version"
    way = "outbox" if one.outbox else f"events {events}"
    return cut_first_line(
        f"{one.hostname}  Celery {version}, {way}, clock {clock}", MAX_WIDTH
    )


def _format_findings(said: list[Finding]) -> list[str]:
    if not said:
        return [click.style("All is as it should be.", fg="green")]
    lines: list[str] = []
    for one in said:
        level = click.style(f"{one.level:<8}", fg=COLOURS.get(one.level))
        lines.append(f"{level} {cut_first_line(one.message, MAX_WIDTH)}")
        if one.fix:
            lines.append(f"{'':<8}   {cut_first_line(one.fix, MAX_WIDTH)}")
    return lines


def _format_row(name: str, text: str) -> str:
    return f"{name:<8} {text}"
