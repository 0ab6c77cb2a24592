"""`herald queues`."""

from __future__ import annotations

import time

import click

from herald_client import Herald
from herald_core.model.workers.queue import QueueView
from herald_server.cli.client_options import json_option, print_notice, run_with_client
from herald_server.cli.formatting import (
    cut_first_line,
    format_duration,
    format_table,
    to_json_line,
)
from herald_server.insight.queues import (
    compute_oldest_age,
    describe_unanswered,
    sort_worst_first,
)

COLUMNS = ("QUEUE", "WAIT", "OLDEST", "IN/MIN", "OUT/MIN", "EMPTY IN", "CONSUMERS")


@click.command()
@json_option
@run_with_client
async def queues(herald: Herald, as_json: bool) -> None:
    """List the queues: their waiting tasks, and the workers that consume them."""
    found = await herald.queues()
    if as_json:
        for queue in found:
            click.echo(to_json_line(queue))
        return
    now = time.time()
    for text in format_table(
        COLUMNS, (_format_row(queue, now) for queue in sort_worst_first(found))
    ):
        click.echo(text)
    if not found:
        print_notice("no queue was measured yet; a monitor does so every 10 s")


def _format_row(queue: QueueView, now: float) -> tuple[str, ...]:
    age = compute_oldest_age(queue, now)
    older = "≥ " if queue.at_least else ""
    return (
        click.style(
            cut_first_line(queue.name), fg="red" if queue.is_unconsumed else None
        ),
        _format_number(queue.depth),
        "" if age is None else older + format_duration(age),
        _format_number(queue.in_per_minute),
        _format_number(queue.out_per_minute),
        format_duration(queue.drain_seconds) if queue.drain_seconds else "",
        _format_consumers(queue),
    )


def _format_number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _format_consumers(queue: QueueView) -> str:
    if queue.may_be_unconsumed:
        return click.style(describe_unanswered(queue), fg="yellow")
    if queue.consumers is None:
        count = queue.consumer_count
        return f"{count}, names unknown" if count else "unknown"
    if not queue.consumers:
        return click.style("nobody", fg="red" if queue.is_unconsumed else None)
    return cut_first_line(", ".join(queue.consumers))
