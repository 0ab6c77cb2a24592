"""`herald queues`."""

from __future__ import annotations

import time

import click

from herald_monitor.model.queues import QueueImage
from herald_server.client import Herald
from herald_server.commands.asking import connected, json_option, note
from herald_server.commands.lines import plain, span, table, to_json_line
from herald_server.queues import by_trouble, oldest_age, said_by

HEAD = ("QUEUE", "WAIT", "OLDEST", "IN/MIN", "OUT/MIN", "EMPTY IN", "CONSUMERS")


@click.command()
@json_option
@connected
async def queues(herald: Herald, as_json: bool) -> None:
    """List the queues: how many tasks wait in each, and who takes them."""
    found = await herald.queues()
    if as_json:
        for queue in found:
            click.echo(to_json_line(queue))
        return
    now = time.time()
    for text in table(HEAD, (_row(queue, now) for queue in by_trouble(found))):
        click.echo(text)
    if not found:
        note("no queue was measured yet; a monitor does so every 10 s")


def _row(queue: QueueImage, now: float) -> tuple[str, ...]:
    age = oldest_age(queue, now)
    older = "≥ " if queue.at_least else ""
    return (
        click.style(plain(queue.name), fg="red" if queue.stranded else None),
        _number(queue.depth),
        "" if age is None else older + span(age),
        _number(queue.in_per_minute),
        _number(queue.out_per_minute),
        span(queue.drain_seconds) if queue.drain_seconds else "",
        _consumers(queue),
    )


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _consumers(queue: QueueImage) -> str:
    if queue.may_be_stranded:
        return click.style(said_by(queue), fg="yellow")
    if queue.consumers is None:
        count = queue.consumer_count
        return f"{count}, names unknown" if count else "unknown"
    if not queue.consumers:
        return click.style("nobody", fg="red" if queue.stranded else None)
    return plain(", ".join(queue.consumers))
