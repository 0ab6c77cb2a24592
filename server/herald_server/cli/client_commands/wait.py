"""`herald wait`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_server.cli.client_options import (
    json_option,
    run_with_client,
    wait_timeout_option,
)
from herald_server.cli.progress_meter import wait_for


@click.command()
@click.argument("task_id", metavar="ID")
@wait_timeout_option
@json_option
@run_with_client
async def wait(
    herald: Herald,
    task_id: str,
    timeout: float | None,  # noqa: ASYNC109
    as_json: bool,
) -> int:
    """Wait until the task ID has ended, and print its outcome.

    Exit codes: 0 success; 1 failure; 2 revoked, rejected, lost or
    expired; 3 timeout.
    """
    return await wait_for(herald, task_id, timeout, as_json)
