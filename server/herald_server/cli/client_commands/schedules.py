"""`herald schedules`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from herald_client import Herald
from herald_server.cli.client_options import json_option, print_notice, run_with_client
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_table,
    to_json_line,
)

COLUMNS = ("SCHEDULE", "STATE", "WHEN", "NEXT", "LAST", "OUTCOME", "SOURCE")
BAD_STATES = frozenset(["missed", "failed", "beat_silent"])
DOUBTFUL_STATES = frozenset(["late", "overlapping", "unknown", "unconfirmed"])


@click.command()
@click.option("--confirm", metavar="ID", help="Confirm a schedule that was learnt.")
@click.option("--mute", metavar="ID", help="Raise no alerts about a schedule.")
@click.option("--unmute", metavar="ID", help="Raise alerts about it again.")
@click.option("--run", metavar="ID", help="Run a schedule now.")
@json_option
@run_with_client
async def schedules(
    herald: Herald,
    confirm: str | None,
    mute: str | None,
    unmute: str | None,
    run: str | None,
    as_json: bool,
) -> None:
    """List the schedules of periodic tasks, and which did not run.

    ID is the id or name of a schedule.
    """
    given = {"confirm": confirm, "mute": mute, "unmute": unmute, "run": run}
    orders = [(action, key) for action, key in given.items() if key is not None]
    if len(orders) > 1:
        raise click.UsageError("give one of --confirm, --mute, --unmute and --run")
    for action, key in orders:
        done = await herald.order_schedule(key, action)
        click.echo(
            to_json_line(done)
            if as_json
            else clean_text(done.get("message") or f"Started {done['task_id']}.")
        )
        return
    await _list_schedules(herald, as_json)


async def _list_schedules(herald: Herald, as_json: bool) -> None:
    found = await herald.schedules()
    if as_json:
        for one in found:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, (_format_row(one) for one in found)):
        click.echo(text)
    for one in found:
        for problem in one["problems"] if not one["muted"] else ():
            name, said = clean_text(one["name"]), clean_text(problem["message"])
            click.echo(f"{name}: {said}")
    if not found:
        print_notice(
            "no schedule is known: start the monitor with -A PROJECT, or declare"
            " [schedules.NAME] in the herald.toml"
        )


def _format_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    last: Mapping[str, Any] = one.get("last_run") or {}
    at = last.get("submitted_at") or last.get("received_at") or ""
    return (
        cut_first_line(one["name"]),
        _format_state(one),
        cut_first_line(one["schedule"]),
        _format_time(one.get("next_run") or ""),
        _format_time(at),
        last.get("state", "").lower(),
        one["source"],
    )


def _format_state(one: Mapping[str, Any]) -> str:
    state = f"{one['state']} (muted)" if one["muted"] else one["state"]
    if one["muted"]:
        return state
    if one["state"] in BAD_STATES:
        return click.style(state, fg="red")
    return click.style(state, fg="yellow") if one["state"] in DOUBTFUL_STATES else state


def _format_time(at: str) -> str:
    return at[:19].replace("T", " ")
