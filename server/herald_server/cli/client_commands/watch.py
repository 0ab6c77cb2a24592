"""`herald watch`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import click

from herald_client import Change, Gone, Herald, Put, Reset
from herald_core.model.tasks.views import TaskView
from herald_server.cli.client_options import (
    add_filter_options,
    json_option,
    make_filter,
    option,
    run_with_client,
)
from herald_server.cli.formatting import cut_first_line, format_task, to_json_line


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@add_filter_options
@option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Number of tasks in the first snapshot; with IDs, all of them.",
)
@option(
    "--every",
    is_flag=True,
    help="Print each transition; without it, bursts are merged.",
)
@option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End after this time, with exit code 0.",
)
@json_option
@run_with_client
async def watch(
    herald: Herald,
    /,
    ids: tuple[str, ...],
    limit: int,
    every: bool,
    seconds: float | None,
    as_json: bool,
    **filter_: tuple[str, ...],
) -> None:
    """Print tasks as they change, one change a line.

    The newest matching tasks are printed first, then every change of a matching
    task. Options of one kind are OR, different kinds are AND. With IDs the command
    ends when all of these tasks have ended.

    JSON lines are {"put": TASK}, {"del": ID} for a task that no longer matches or
    has expired, and {"reset": REASON}: discard all earlier lines, a new snapshot
    follows.
    """
    changes = herald.watch(
        limit=None if ids else limit, every=every, **make_filter(ids, **filter_)
    )
    write = format_json if as_json else format_line
    with suppress(TimeoutError):
        async with aclosing(changes), asyncio.timeout(seconds):
            async for change in changes:
                click.echo(write(change))


def format_json(change: Change[TaskView]) -> str:
    """Return a change as one line of JSON."""
    said: dict[str, object]
    match change:
        case Put(task):
            said = {"put": task}
        case Gone(id_):
            said = {"del": id_}
        case Reset(reason):
            said = {"reset": reason}
    return to_json_line(said).decode()


def format_line(change: Change[TaskView]) -> str:
    """Return a change as one line of text."""
    match change:
        case Put(task):
            return format_task(task)
        case Gone(id_):
            cut = cut_first_line(id_)
            return f"{'':12}  {'gone':8}  {cut} (matches no more, or forgotten)"
        case Reset(reason):
            cut = cut_first_line(reason)
            return f"{'':12}  starting over ({cut}): all there is follows"
