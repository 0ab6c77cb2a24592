"""`herald queue`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_server.cli.client_commands.worker import print_order
from herald_server.cli.client_options import json_option, run_with_client


@click.command()
@click.argument("action", type=click.Choice(["pause", "resume"]))
@click.argument("name", metavar="NAME")
@json_option
@run_with_client
async def queue(herald: Herald, action: str, name: str, as_json: bool) -> int:
    """Pause the queue NAME at all workers, or resume it.

    A paused queue stays so at workers that join. The exit code is 1 unless all workers
    have said that they obeyed.
    """
    act = herald.pause_queue if action == "pause" else herald.resume_queue
    return print_order(await act(name), as_json)
