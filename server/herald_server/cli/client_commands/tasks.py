"""`herald tasks`."""

from __future__ import annotations

import time
from typing import Any

import click
from click.core import ParameterSource

from herald_client import Herald
from herald_client.models.answers import TaskList
from herald_core.model.tasks.views import TaskView
from herald_server.cli.client_options import (
    add_filter_options,
    json_option,
    make_filter,
    option,
    print_notice,
    run_with_client,
)
from herald_server.cli.formatting import (
    cut_first_line,
    format_moment,
    format_progress,
    format_runtime,
    format_state,
    format_table,
    to_json_line,
)
from herald_server.insight.search.export_rows import parse_columns, select_columns

COLUMNS = ("CHANGED", "STATE", "NAME", "ID", "WORKER", "RUNTIME", "")


@click.command()
@click.argument("query", required=False)
@add_filter_options
@option(
    "--after", metavar="TIME", help="First seen after, such as 2026-01-31T12:00:00Z"
)
@option("--before", metavar="TIME", help="First seen before.")
@option(
    "--sort",
    metavar="VALUE",
    help="Order by started, finished, received, submitted, runtime or wait; with - "
    "before it the largest or newest first.",
)
@option(
    "--columns", metavar="NAMES", help="Columns, such as id,args,kwargs,exception,wait."
)
@option("--tz", metavar="ZONE", help="Zone of times in QUERY, such as Europe/Berlin.")
@option(
    "--limit",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Maximum number of tasks.",
)
@option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="Print CSV: all tasks, unless --limit is given.",
)
@json_option
@run_with_client
async def tasks(
    herald: Herald,
    /,
    query: str | None,
    columns: str | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """List tasks, newest first, or those that QUERY finds.

    QUERY is such as 'failed kwargs.order_id:12345 last:1h': words are AND, and are
    looked for in name, arguments, exception and id. Options of one kind are OR,
    different kinds are AND.
    """
    names = parse_columns(columns) if columns else ()
    if as_csv:
        source = click.get_current_context().get_parameter_source("limit")
        most = None if source is ParameterSource.DEFAULT else limit
        await _print_export(herald, query, names, most, **given)
        return
    found, last = await _read(herald, query, limit, **given)
    shown = found[:limit]
    if as_json:
        for task in shown:
            click.echo(to_json_line(_select(task, names) if names else task))
    else:
        _print_table(shown, names)
    _print_notices(found, last, limit)


async def _print_export(
    herald: Herald,
    query: str | None,
    columns: tuple[str, ...],
    limit: int | None,
    **given: Any,
) -> None:
    if given.pop("sort") or given.pop("after") or given.pop("before"):
        raise click.UsageError(
            "--csv is newest first: leave --sort out, and write times into QUERY, such "
            "as last:1h or since:02:00"
        )
    zone = given.pop("tz")
    pieces = herald.export(
        query, columns=columns, limit=limit, tz=zone, **make_filter(**given)
    )
    async for piece in pieces:
        click.echo(piece, nl=False)


async def _read(
    herald: Herald,
    query: str | None,
    limit: int,
    *,
    after: str | None,
    before: str | None,
    sort: str | None,
    tz: str | None,
    **filter_: tuple[str, ...],
) -> tuple[list[TaskView], TaskList | None]:
    """Return up to one task more than `limit`, and the last page."""
    pages: list[TaskList] = []
    found = [
        task
        async for task in herald.tasks(
            after=after,
            before=before,
            limit=limit + 1,
            query=query,
            sort=sort,
            tz=tz,
            progress=pages.append,
            **make_filter(**filter_),
        )
    ]
    return found, pages[-1] if pages else None


def _print_table(tasks: list[TaskView], columns: tuple[str, ...]) -> None:
    head = [name.upper() for name in columns] or list(COLUMNS)
    rows = [_format_columns(task, columns) or _format_row(task) for task in tasks]
    for text in format_table(head, rows):
        click.echo(text)


def _print_notices(found: list[TaskView], last: TaskList | None, limit: int) -> None:
    if not found:
        print_notice("no task matches")
    elif len(found) > limit:
        print_notice(f"there are more; --limit {limit * 4} shows up to {limit * 4}")
    if last is not None and not last.whole:
        print_notice(f"only the newest {last.searched} tasks are in this order")


def _format_columns(task: TaskView, columns: tuple[str, ...]) -> tuple[str, ...]:
    values = _select(task, columns).values()
    return tuple(
        cut_first_line("" if value is None else str(value), 60) for value in values
    )


def _select(task: TaskView, columns: tuple[str, ...]) -> dict[str, object]:
    return select_columns(task, columns, time.time())


def _format_row(task: TaskView) -> tuple[str, ...]:
    return (
        format_moment(task.updated_at),
        format_state(task.state, 0),
        cut_first_line(task.name, 50),
        cut_first_line(task.id),
        cut_first_line(task.worker, 40),
        format_runtime(task),
        format_progress(task) or cut_first_line(task.exception, 60),
    )
