"""`herald wait`."""

from __future__ import annotations

import click

from herald_server.client import Herald
from herald_server.commands.asking import connected, json_option, wait_timeout_option
from herald_server.commands.waiting import wait_for


@click.command()
@click.argument("task_id", metavar="ID")
@wait_timeout_option
@json_option
@connected
async def wait(
    herald: Herald,
    task_id: str,
    timeout: float | None,  # noqa: ASYNC109
    as_json: bool,
) -> int:
    """Wait until the task ID is over, and print how it ended.

    Exit codes: 0 success; 1 failure; 2 revoked, rejected, lost or not known any
    more; 3 the time was over.
    """
    return await wait_for(herald, task_id, timeout, as_json)
