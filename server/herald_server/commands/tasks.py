"""`herald tasks`."""

from __future__ import annotations

import click

from herald_monitor.model.shape import TaskImage
from herald_server.client import Herald
from herald_server.commands.asking import (
    asked,
    connected,
    filtered,
    json_option,
    note,
    option,
)
from herald_server.commands.lines import (
    how_far,
    moment,
    plain,
    runtime,
    state,
    table,
    to_json_line,
)

HEAD = ("CHANGED", "STATE", "NAME", "ID", "WORKER", "RUNTIME", "")


@click.command()
@filtered
@option("--after", metavar="TIME", help="First heard of after, as 2026-01-31T12:00:00Z")
@option("--before", metavar="TIME", help="First heard of before.")
@option(
    "--limit",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="At most so many.",
)
@json_option
@connected
async def tasks(
    herald: Herald,
    /,
    after: str | None,
    before: str | None,
    limit: int,
    as_json: bool,
    **filter_: tuple[str, ...],
) -> None:
    """List tasks, newest first.

    Options of one kind are OR, different kinds are AND.
    """
    found: list[TaskImage] = []
    async for task in herald.tasks(
        after=after, before=before, limit=limit + 1, **asked(**filter_)
    ):
        found.append(task)
    shown = found[:limit]
    if as_json:
        for task in shown:
            click.echo(to_json_line(task))
        return
    for text in table(HEAD, map(_row, shown)):
        click.echo(text)
    if not shown:
        note("no task matches")
    elif len(found) > limit:
        note(f"there are more; --limit {limit * 4} shows up to {limit * 4}")


def _row(task: TaskImage) -> tuple[str, ...]:
    return (
        moment(task.updated_at),
        state(task.state, 0),
        plain(task.name, 50),
        plain(task.id),
        plain(task.worker, 40),
        runtime(task),
        how_far(task) or plain(task.exception, 60),
    )
