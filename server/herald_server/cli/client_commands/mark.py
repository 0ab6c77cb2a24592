"""`herald mark`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_core.model.marks.mark import Mark
from herald_server.cli.client_options import json_option, option, run_with_client
from herald_server.cli.formatting import (
    cut_first_line,
    format_moment,
    format_table,
    to_json_line,
)

COLUMNS = ("ID", "AT", "KIND", "WHAT", "VERSION", "BY")


@click.command()
@click.argument("what", required=False)
@option("--version", metavar="TEXT", help="The version that runs from then on.")
@option("--at", metavar="TIME", help="RFC 3339 time; now by default.")
@click.option("--list", "lists", is_flag=True, help="List the marks.")
@click.option("--delete", metavar="ID", help="Delete a mark.")
@json_option
@run_with_client
async def mark(
    herald: Herald,
    what: str | None,
    version: str | None,
    at: str | None,
    lists: bool,
    delete: str | None,
    as_json: bool,
) -> None:
    """Set a mark such as "deploy 4f1c" on every chart, and print its id.

    `herald slower` then lists what became slower. Workers with HERALD_RELEASE set
    a mark by themselves when their release changes.
    """
    if sum((what is not None, lists, delete is not None)) != 1:
        raise click.UsageError('give a text such as "deploy 4f1c", or --list')
    if what is not None:
        made = await herald.mark(what, version=version, at=at)
        click.echo(to_json_line(made) if as_json else made.id)
    elif delete is not None:
        done = await herald.delete_mark(delete)
        click.echo(to_json_line(done) if as_json else cut_first_line(done.message))
    else:
        _print_marks(await herald.marks(), as_json)


def _print_marks(marks: list[Mark], as_json: bool) -> None:
    if as_json:
        for one in marks:
            click.echo(to_json_line(one))
        return
    for line in format_table(COLUMNS, map(_format_row, marks)):
        click.echo(line)


def _format_row(one: Mark) -> tuple[str, ...]:
    return (
        cut_first_line(one.id),
        format_moment(one.at)[:19],
        cut_first_line(one.kind),
        cut_first_line(one.what),
        cut_first_line(one.version, 40),
        cut_first_line(one.who, 40),
    )
