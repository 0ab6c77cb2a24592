"""`herald why`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_server.cli.client_options import json_option, run_with_client
from herald_server.cli.formatting import clean_text, to_json_line


@click.command()
@click.argument("task_id", metavar="ID")
@json_option
@run_with_client
async def why(herald: Herald, task_id: str, as_json: bool) -> int:
    """Say why the task ID has not started or ended yet, and what to do about it.

    Workers are asked for it. The exit code is 1 if the task is unknown.
    """
    found = await herald.why(task_id)
    if as_json:
        click.echo(to_json_line(found))
    else:
        click.echo(clean_text(str(found.get("message", ""))))
        if found.get("advice"):
            click.echo(clean_text(str(found["advice"])))
    return 1 if found.get("state") in ("UNKNOWN", None) else 0
