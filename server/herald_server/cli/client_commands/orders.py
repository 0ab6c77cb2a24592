"""`herald orders` and `herald purge`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_server.cli.client_options import json_option, option, run_with_client
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_moment,
    format_table,
    to_json_line,
)

COLUMNS = ("REQUESTED", "KIND", "STATE", "TARGET", "BY", "ID")


@click.command()
@click.argument("order_id", required=False, metavar="[ID]")
@option("--stop", is_flag=True, help="Stop the order ID before its next task.")
@json_option
@run_with_client
async def orders(
    herald: Herald, order_id: str | None, stop: bool, as_json: bool
) -> None:
    """List the orders of the last days, or show the order ID in full."""
    if order_id is None:
        if stop:
            raise click.UsageError("name the order to stop by its ID")
        await _list_orders(herald, as_json)
        return
    if stop:
        order = await herald.orders.stop(order_id)
    else:
        order = await herald.orders.get(order_id)
    if as_json:
        click.echo(to_json_line(order))
        return
    click.echo(clean_text(order.message))
    for failure in order.details.get("failures", ()):
        words = f"{failure['task_id']}  {failure['outcome']}: {failure['reason']}"
        click.echo(cut_first_line(words, 300))


async def _list_orders(herald: Herald, as_json: bool) -> None:
    found = await herald.orders.list_newest()
    if as_json:
        for order in found:
            click.echo(to_json_line(order))
        return
    rows = [
        (
            format_moment(one.requested_at),
            *(one.kind, one.state, cut_first_line(one.target)),
            *(cut_first_line(one.who), one.id),
        )
        for one in found
    ]
    for line in format_table(COLUMNS, rows):
        click.echo(line)


@click.command()
@click.argument("queue", metavar="QUEUE")
@option(
    "--expect",
    type=click.IntRange(min=0),
    required=True,
    metavar="N",
    help="How many messages wait in it, as `herald queues` shows.",
)
@json_option
@run_with_client
async def purge(herald: Herald, queue: str, expect: int, as_json: bool) -> int:
    """Remove all messages that wait in QUEUE: their tasks never start.

    Nothing is removed if the number of messages is not about N.
    """
    order = await herald.orders.purge(queue, expect)
    click.echo(to_json_line(order) if as_json else clean_text(order.message))
    return 0 if order.state == "done" else 1
