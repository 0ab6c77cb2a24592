"""`herald cancel`."""

from __future__ import annotations

import click

from herald_monitor.model.shape import FINAL, REVOKED
from herald_server.client import Herald
from herald_server.commands.asking import connected, json_option
from herald_server.commands.lines import harmless, to_json_line

TOO_LATE = {state.lower() for state in FINAL - {REVOKED}}


@click.command()
@click.argument("task_id", metavar="ID")
@json_option
@connected
async def cancel(herald: Herald, task_id: str, as_json: bool) -> int:
    """Cancel the task ID, and say what came of it.

    The exit code is 1 if it had ended already, or if nobody knows it.
    """
    done = await herald.cancel(task_id)
    click.echo(to_json_line(done) if as_json else harmless(done.message))
    return 1 if done.status in TOO_LATE or done.outcome == "unknown" else 0
