"""`herald retry`, and the confirmation of orders for many tasks."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from herald_client import AccessRefused, Herald, Order, OrderPreview, Put
from herald_core.model.filters import KEYS
from herald_server.cli.client_options import (
    F,
    add_filter_options,
    json_option,
    make_filter,
    option,
    print_notice,
    run_with_client,
)
from herald_server.cli.formatting import clean_line, clean_text, to_json_line

MAX_NAMES = 10

BULK_OPTIONS = [
    option("--query", metavar="TEXT", help="Query, such as 'failed last:1h'"),
    option("--yes", is_flag=True, help="Confirm without a question."),
    option(
        "--expect",
        type=click.IntRange(min=0),
        metavar="N",
        help="Confirm exactly N tasks; with another number nothing is done.",
    ),
    option(
        "--per-second",
        type=click.FloatRange(min=0.01),
        metavar="N",
        help="Tasks a second at most.",
    ),
    option("--no-wait", is_flag=True, help="Return once the order is confirmed."),
]


def add_bulk_options(command: F) -> F:
    """Add the options that select many tasks, and confirm."""
    for add in reversed(BULK_OPTIONS):
        command = add(command)
    return add_filter_options(command)


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@add_bulk_options
@option("--include-rerun", is_flag=True, help="Also tasks that ran again already.")
@json_option
@run_with_client
async def retry(
    herald: Herald,
    /,
    ids: tuple[str, ...],
    include_rerun: bool,
    as_json: bool,
    **given: object,
) -> int:
    """Run finished tasks again: those named by ID, or those of a selection.

    Prints what would be done and asks, unless --yes or --expect is given. Without
    --state, tasks that failed, were lost or rejected are selected.
    """
    options = {"include_rerun": True} if include_rerun else {}
    return await order_many(herald, "retry", ids, given, options, as_json)


async def order_many(
    herald: Herald,
    action: str,
    ids: tuple[str, ...],
    given: Mapping[str, object],
    options: Mapping[str, object],
    as_json: bool,
) -> int:
    """Preview an order, confirm it, and follow it to its end; return the exit code."""
    chosen = {**make_selection(ids, given), **options}
    if given.get("per_second") is not None:
        chosen["per_second"] = given["per_second"]
    preview = await herald.orders.prepare(action, **chosen)
    if not as_json:
        print_preview(preview)
    if not preview.count:
        return 1
    expect = choose_number(preview, given)
    order = await herald.orders.confirm(
        action, expect, **{**chosen, **preview.selection}
    )
    if not given.get("no_wait"):
        order = await follow_order(herald, order, as_json)
    click.echo(to_json_line(order) if as_json else clean_text(order.message))
    return 0 if order.state in ("done", "running") else 1


def make_selection(
    ids: tuple[str, ...], given: Mapping[str, object]
) -> dict[str, object]:
    """Return the selection of the arguments and options. Raises `UsageError`."""
    found = {key: given.get(key) or () for key in KEYS if key != "ids"}
    filter_ = make_filter(**found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    query = given.get("query")
    if ids and (filter_ or query):
        raise click.UsageError("give ids, or options that select; not both")
    if ids:
        return {"ids": list(ids)}
    if not filter_ and not query:
        raise click.UsageError("name tasks by ID, or select some by --query or --name")
    return {"filter": filter_, **({"query": query} if query else {})}


def print_preview(preview: OrderPreview) -> None:
    """Print what an order would do."""
    click.echo(clean_text(preview.message.partition(" Confirm with")[0]), err=True)
    for name, number in list(preview.by_name.items())[:MAX_NAMES]:
        click.echo(f"  {number:>7,}  {clean_line(name)}", err=True)
    for reason in preview.reasons[:MAX_NAMES]:
        text = clean_line(f"{reason['outcome']}: {reason['reason']}")
        click.echo(f"  {reason['count']:>7,}  not: {text}", err=True)


def choose_number(preview: OrderPreview, given: Mapping[str, object]) -> int:
    """Return the confirmed number of tasks. Raises `ClickException`."""
    expect = given.get("expect")
    if isinstance(expect, int):
        return expect
    if given.get("yes"):
        return preview.count
    if not sys.stdin.isatty():
        raise click.ClickException(
            f"{preview.count:,} tasks are selected: give --expect {preview.count}, or "
            "--yes. Nothing was done"
        )
    typed = click.prompt(
        f"Type the number of tasks to {preview.action} them", type=int, err=True
    )
    if typed != preview.count:
        raise click.ClickException("That is another number. Nothing was done")
    return preview.count


async def follow_order(herald: Herald, order: Order, as_json: bool) -> Order:
    """Return an order once it has ended; print its progress meanwhile."""
    watch = herald.watch(topic="orders")
    try:
        async for change in watch:
            if not isinstance(change, Put) or change.image.get("id") != order.id:
                continue
            if change.image.get("ended_at"):
                break
            if not as_json:
                print_notice(clean_text(str(change.image.get("message"))))
    except AccessRefused:
        print_notice(f"this token cannot follow orders; see herald orders {order.id}")
    finally:
        await watch.aclose()
    return await herald.orders.get(order.id)
