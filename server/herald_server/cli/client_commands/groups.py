"""`herald groups`."""

from __future__ import annotations

from typing import Any

import click

from herald_client import Herald
from herald_server.cli.client_options import (
    json_option,
    option,
    print_notice,
    run_with_client,
)
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_moment,
    format_table,
    to_json_line,
)

COLUMNS = ("NEWEST", "FINISHED", "STATES", "NAMES", "GROUP")

MAX_NAMES = 3


@click.command()
@click.argument("group_id", metavar="[ID]", required=False)
@option(
    "--limit",
    type=click.IntRange(1, 500),
    default=20,
    show_default=True,
    help="Maximum number of groups, or of members.",
)
@json_option
@run_with_client
async def groups(
    herald: Herald, group_id: str | None, limit: int, as_json: bool
) -> None:
    """List the groups and chains with the newest members; or show the group ID."""
    if group_id is not None:
        found = await herald.group(group_id, limit)
        click.echo(to_json_line(found) if as_json else _format_group(found))
        return
    listed = (await herald.groups(limit))["groups"]
    if as_json:
        for one in listed:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, map(_format_row, listed)):
        click.echo(text)
    if not listed:
        print_notice("no group is known")


def _format_row(one: dict[str, Any]) -> tuple[str, ...]:
    names: list[str] = one.get("names") or []
    more = f" +{len(names) - MAX_NAMES}" if len(names) > MAX_NAMES else ""
    return (
        format_moment(one.get("newest_at")),
        _format_share(one),
        _format_counts(one),
        cut_first_line(", ".join(names[:MAX_NAMES]) + more, 60),
        cut_first_line(one["group_id"]),
    )


def _format_share(one: dict[str, Any]) -> str:
    """Return how many members have ended; `+`: there may be more members."""
    return f"{one['finished']}/{one['total']}{'' if one.get('whole') else '+'}"


def _format_counts(one: dict[str, Any]) -> str:
    counts: dict[str, int] = one.get("counts") or {}
    return cut_first_line(" ".join(f"{state}:{n}" for state, n in counts.items()), 60)


def _format_group(one: dict[str, Any]) -> str:
    tasks: list[dict[str, Any]] = one.get("tasks") or []
    rows = [
        [cut_first_line(task.get(key)) for key in ("state", "name", "id")]
        for task in tasks
    ]
    table = format_table(("STATE", "NAME", "ID"), rows)
    return clean_text("\n".join([str(one.get("message", "")), *table]))
