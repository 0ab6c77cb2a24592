"""`herald types`."""

from __future__ import annotations

from typing import Any

import click

from herald_client import Herald
from herald_server.cli.client_options import json_option, print_notice, run_with_client
from herald_server.cli.formatting import (
    cut_first_line,
    format_duration,
    format_table,
    to_json_line,
)

COLUMNS = ("TYPE", "NAME", "RUNS", "FAILED", "MEDIAN", "P95", "STARTABLE")


@click.command()
@json_option
@run_with_client
async def types(herald: Herald, as_json: bool) -> None:
    """List the task types and names, with the figures of the last day."""
    found = (await herald.types())["types"]
    if as_json:
        for one in found:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, map(_format_row, found)):
        click.echo(text)
    if not found:
        print_notice("no task was heard of yet, and the catalog is empty")


def _format_row(one: dict[str, Any]) -> tuple[str, ...]:
    counts: dict[str, int] = one.get("counts") or {}
    failed = counts.get("failed", 0)
    runtime: dict[str, float] = one.get("runtime") or {}
    return (
        cut_first_line(one.get("task_type")),
        cut_first_line(one.get("name")),
        str(counts.get("succeeded", 0) + failed),
        click.style(str(failed), fg="red" if failed else None),
        *(
            format_duration(runtime[key]) if key in runtime else ""
            for key in ("p50", "p95")
        ),
        "yes" if one.get("startable") else "no",
    )
