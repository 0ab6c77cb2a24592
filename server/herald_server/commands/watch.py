"""`herald watch`."""

from __future__ import annotations

import click

from herald_monitor.model.shape import TaskImage
from herald_server.client import Change, Gone, Herald, Put, Reset
from herald_server.commands.asking import (
    asked,
    connected,
    filtered,
    json_option,
    option,
)
from herald_server.commands.lines import plain, task_line, to_json_line


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filtered
@option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Begin with the newest so many tasks. All of them, where IDs are given.",
)
@option("--every", is_flag=True, help="Each transition, even where they pile up.")
@json_option
@connected
async def watch(
    herald: Herald,
    /,
    ids: tuple[str, ...],
    limit: int,
    every: bool,
    as_json: bool,
    **filter_: tuple[str, ...],
) -> None:
    """Print tasks as they change, one change a line.

    First come the newest tasks as they are, then all that becomes of the tasks
    that match. Options of one kind are OR, different kinds are AND. With IDs it
    ends when all of them are over.

    JSON lines are {"put": TASK}, {"del": ID} for a task that does not match any
    more or was forgotten, and {"reset": REASON} where all that was printed is
    void and all there is follows.
    """
    changes = herald.watch(
        limit=None if ids else limit, every=every, **asked(ids, **filter_)
    )
    write = json_line if as_json else line
    async for change in changes:
        click.echo(write(change))


def json_line(change: Change[TaskImage]) -> str:
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


def line(change: Change[TaskImage]) -> str:
    """Return a change as a line for people."""
    match change:
        case Put(task):
            return task_line(task)
        case Gone(id_):
            return f"{'':12}  {'gone':8}  {plain(id_)} (matches no more, or forgotten)"
        case Reset(reason):
            return f"{'':12}  starting over ({plain(reason)}): all there is follows"
