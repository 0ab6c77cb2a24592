"""`herald cancel`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_core.model.tasks.views import FINAL_STATES, REVOKED
from herald_server.cli.client_commands.bulk import add_bulk_options, order_many
from herald_server.cli.client_options import json_option, run_with_client
from herald_server.cli.formatting import clean_text, to_json_line

TOO_LATE_STATES = {state.lower() for state in FINAL_STATES - {REVOKED}}


@click.command()
@click.argument("task_id", nargs=-1, metavar="[ID]...")
@add_bulk_options
@json_option
@run_with_client
async def cancel(
    herald: Herald, /, task_id: tuple[str, ...], as_json: bool, **given: object
) -> int:
    """Cancel the task ID, and print the outcome; or many tasks.

    The exit code is 1 if the task had already ended, or is unknown. Of several ids, or
    of a selection, prints what would be done and asks, unless --yes or --expect is
    given. Without --state, tasks that have not ended are selected.
    """
    if len(task_id) != 1 or any(given.values()):
        return await order_many(herald, "cancel", task_id, given, {}, as_json)
    done = await herald.cancel(task_id[0])
    click.echo(to_json_line(done) if as_json else clean_text(done.message))
    return 1 if done.status in TOO_LATE_STATES or done.outcome == "unknown" else 0
