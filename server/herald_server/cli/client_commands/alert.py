"""`herald alert`."""

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

COLUMNS = ("ALERT", "STATE", "SEVERITY", "SINCE", "RULE", "SUBJECT")


@click.group()
def alert() -> None:
    """List alerts, silence some, or test where they are sent."""


@alert.command("list")
@json_option
@run_with_client
async def list_(herald: Herald, as_json: bool) -> None:
    """List the alerts, those that fire first, and the silences."""
    found = await herald.alerts()
    if as_json:
        for one in found.alerts:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, (_format_row(one) for one in found.alerts)):
        click.echo(text)
    for silence in found.silences:
        what = f"{silence.rule} {silence.subject}"
        click.echo(
            clean_text(f"{silence.id}: {what} is silenced until {silence.until}")
        )
    if not found.alerts:
        print_notice("no alert has fired in the last seven days")


@alert.command()
@click.argument("rule", metavar="RULE", default="*")
@click.option("--subject", metavar="GLOB", default="*", help="Only these subjects.")
@click.option("--for", "duration", metavar="TIME", help="How long, such as 2h.")
@click.option("--comment", default="", help="Why, for others.")
@click.option("--end", metavar="ID", help="End the silence with this id.")
@json_option
@run_with_client
async def silence(
    herald: Herald,
    rule: str,
    subject: str,
    duration: str | None,
    comment: str,
    end: str | None,
    as_json: bool,
) -> None:
    """Report no alerts of RULE, such as queue_old or "queue_*", for a time."""
    if end is not None:
        ended = await herald.delete_silence(end)
        click.echo(to_json_line(ended) if as_json else clean_text(ended.message))
        return
    if duration is None:
        raise click.UsageError("give --for, such as --for 2h, or --end ID")
    made = await herald.silence_alerts(duration, rule, subject, comment)
    text = f"{made.id}: silenced until {made.until}"
    click.echo(to_json_line(made) if as_json else clean_text(text))


@alert.command()
@click.argument("receiver", required=False)
@json_option
@run_with_client
async def test(herald: Herald, receiver: str | None, as_json: bool) -> int:
    """Send a test to all receivers of the herald.toml, or to RECEIVER.

    The exit code is 1 if one of them was not reached.
    """
    done = await herald.test_alerts(receiver)
    if as_json:
        click.echo(to_json_line(done))
    else:
        for one in done.results:
            outcome = one["error"] or "accepted"
            click.echo(clean_text(f"{one['receiver']}: {outcome}"))
        click.echo(clean_text(done.message))
    return 1 if any(one["error"] for one in done.results) else 0


def _format_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    state = str(one["state"])
    if one.get("silenced_until"):
        state = f"{state} (silenced)"
    elif state == "firing":
        state = click.style(state, fg="red")
    return (
        cut_first_line(one["title"]),
        state,
        one["severity"],
        one["since"][:19].replace("T", " "),
        one["rule"],
        cut_first_line(one["subject"]),
    )
