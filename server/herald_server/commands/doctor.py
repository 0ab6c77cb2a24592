"""`herald doctor`: what is reachable, what to change, and the line that does it."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_monitor.refusals import LOGIN, RIGHTS, TLS
from herald_server.commands.lines import plain, to_json_line
from herald_server.commands.options import SOURCE, STORE, options, settings_of
from herald_server.doctor.facts import (
    ERROR,
    WARNING,
    Facts,
    Finding,
    Place,
    WorkerFacts,
)
from herald_server.doctor.rules import findings, healthy

COLOURS = {ERROR: "red", WARNING: "yellow"}
WIDE = 1_000
BAD = {
    LOGIN: "does not let Herald in",
    RIGHTS: "does not allow what Herald asks",
    TLS: "TLS does not match",
}
"""What is said of a server that is there, and refuses."""


@click.command()
@options(SOURCE, STORE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool, **given: Any) -> None:
    """Look at broker, result backend, workers and store, and say what to change.

    Give --broker (and --backend), or -A PROJECT. Nothing is changed; it takes about
    ten seconds. The exit code is 0 if there is nothing to do, else 1.
    """
    facts = asyncio.run(_visited(given))
    said = findings(facts)
    if as_json:
        told = {"healthy": healthy(said), "findings": said, "facts": facts}
        click.echo(to_json_line(told))
    else:
        for line in (*_facts(facts), "", *_findings(said)):
            click.echo(line)
    ctx.exit(0 if healthy(said) else 1)


async def _visited(given: dict[str, Any]) -> Facts:
    from herald_monitor.daemon import celery_of
    from herald_server.doctor.visit import visit
    from herald_server.running import beside

    settings = settings_of(**given)
    app = celery_of(settings)
    found = beside(settings, app)
    return await visit(found, app, store="store_url" in found.model_fields_set)


def _facts(facts: Facts) -> list[str]:
    ours = ", ".join(f"{name} {number}" for name, number in facts.versions.items())
    lines = [
        _row("here", ours),
        _row("broker", _place(facts.broker)),
        _row("backend", _place(facts.backend) if facts.backend else "none"),
        _row("store", _place(facts.store) if facts.store else "none runs here yet"),
        _row("workers", str(len(facts.workers)) if facts.asked else "not asked"),
    ]
    return lines + [_row("", _worker(one)) for one in facts.workers]


def _place(place: Place) -> str:
    good = f"{place.software}, reachable" if place.software else "reachable"
    bad = BAD.get(place.kind, "not reachable")
    return plain(f"{place.url}  {good if place.reachable else bad}", WIDE)


def _worker(one: WorkerFacts) -> str:
    events = {True: "on", False: "off", None: "unknown"}[one.events]
    clock = "unknown" if one.skew is None else f"{one.skew:+.1f} s"
    version = one.version or "of an unknown version"
    return plain(
        f"{one.hostname}  Celery {version}, events {events}, clock {clock}", WIDE
    )


def _findings(said: list[Finding]) -> list[str]:
    if not said:
        return [click.style("All is as it should be.", fg="green")]
    lines: list[str] = []
    for one in said:
        level = click.style(f"{one.level:<8}", fg=COLOURS.get(one.level))
        lines.append(f"{level} {plain(one.message, WIDE)}")
        if one.fix:
            lines.append(f"{'':<8}   {plain(one.fix, WIDE)}")
    return lines


def _row(name: str, text: str) -> str:
    return f"{name:<8} {text}"
