"""`herald worker`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from herald_client import Herald, WorkerDetail, WorkerHistory
from herald_core.model.orders import Order
from herald_server.cli.client_options import json_option, option, run_with_client
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_duration,
    format_moment,
    format_table,
    to_json_line,
)

ORDERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "grow": ("pool_grow", ("n",)),
    "shrink": ("pool_shrink", ("n",)),
    "autoscale": ("autoscale", ("max", "min")),
    "add-consumer": ("add_consumer", ("queue",)),
    "cancel-consumer": ("cancel_consumer", ("queue",)),
    "rate-limit": ("rate_limit", ("task_name", "rate_limit")),
    "time-limit": ("time_limit", ("task_name", "soft", "hard")),
    "enable-events": ("enable_events", ()),
    "disable-events": ("disable_events", ()),
    "shutdown": ("shutdown", ()),
    "restart-pool": ("pool_restart", ()),
}
"""By word, the command of an order and its parameters in their order."""

NO_LIMIT = "-"
"""Stands for a time limit that is left out."""

RUN_COLUMNS = ("STARTED", "ENDED", "STATE", "TASK", "ID")


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("words", metavar="[ORDER [VALUE]...]", nargs=-1)
@option("--at", metavar="TIME", help="Show what it did then: RFC 3339, or 02:13 (UTC).")
@option(
    "--window",
    type=click.FloatRange(min=1, max=86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Length of that time.",
)
@json_option
@run_with_client
async def worker(
    herald: Herald,
    name: str,
    words: tuple[str, ...],
    at: str | None,
    window: float,
    as_json: bool,
) -> int:
    """Show the worker NAME, or give it an ORDER and wait for what comes of it.

    \b
    grow [N]              shrink [N]            autoscale MAX [MIN]
    add-consumer QUEUE    cancel-consumer QUEUE
    rate-limit TASK RATE  time-limit TASK [SOFT|- [HARD]]
    enable-events         disable-events
    shutdown              restart-pool

    The exit code of an order is 1 unless it is verified.
    """
    if words:
        command, given = parse_order(words)
        return print_order(await herald.order_worker(name, command, **given), as_json)
    if at is not None:
        history = await herald.get_worker_history(name, at, window)
        lines = _format_history(history)
        click.echo(to_json_line(history) if as_json else "\n".join(lines))
        return 0
    found = await herald.get_worker(name)
    click.echo(to_json_line(found) if as_json else "\n".join(_format_worker(found)))
    return 0


def parse_order(words: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    """Return the command and parameters of an order. Raises `UsageError`."""
    word, *values = words
    if word not in ORDERS:
        raise click.UsageError(f"no order {word!r}; use one of {', '.join(ORDERS)}")
    command, keys = ORDERS[word]
    if len(values) > len(keys):
        takes = " ".join(key.upper() for key in keys) or "no value"
        raise click.UsageError(f"{word} takes {takes}")
    pairs = zip(keys, values, strict=False)
    return command, {key: value for key, value in pairs if value != NO_LIMIT}


def print_order(order: Order, as_json: bool) -> int:
    """Print what came of an order; return the exit code."""
    text = clean_text(f"{order.state}: {order.message}")
    click.echo(to_json_line(order) if as_json else text)
    return 0 if order.state == "verified" else 1


def _format_history(history: WorkerHistory) -> Iterator[str]:
    for change in history.changes:
        yield f"{format_moment(change['at'])}  {change['state']}"
    rows = (
        (
            format_moment(run["started_at"]),
            format_moment(run.get("finished_at")) or "",
            run["state"],
            cut_first_line(run.get("name")),
            run["id"],
        )
        for run in history.runs
    )
    yield from format_table(RUN_COLUMNS, rows)
    yield clean_text(history.message)


def _format_worker(found: WorkerDetail) -> Iterator[str]:
    for label, value in _list_facts(found):
        if value not in (None, ""):
            yield f"{label:<12}{clean_text(str(value))}"
    for kind in ("active", "reserved", "scheduled"):
        held: dict[str, Any] | None = getattr(found, f"{kind}_tasks")
        if held is not None:
            yield f"{kind:<12}{held['total']}"
            for task in held["tasks"][:20]:
                yield f"{'':<12}{task['id']}  {cut_first_line(task.get('name'))}"
    if found.asked["message"]:
        yield clean_text(found.asked["message"])


def _list_facts(found: WorkerDetail) -> list[tuple[str, object]]:
    pool = found.pool_details or {}
    processes = pool.get("processes")
    size = len(processes) if processes else pool.get("max_concurrency", found.slots)
    uptime = found.uptime_seconds
    skew = found.clock_skew_ms
    memory = (found.rusage or {}).get("maxrss")
    return [
        ("worker", found.hostname),
        ("state", found.state),
        ("pool", f"{found.pool or 'unknown'}, {size if size else '?'}"),
        ("queues", ", ".join(one["name"] for one in found.queues or ())),
        ("prefetch", found.prefetch),
        ("running", found.active),
        ("up", format_duration(uptime) if uptime else None),
        ("memory", f"{memory // 1024} MB" if memory else None),
        ("clock", f"{skew:+} ms" if skew is not None else None),
        ("software", found.software),
        ("release", found.release),
        ("revoked", (found.revoked_tasks or {}).get("total")),
        ("registered", len(found.registered) if found.registered else None),
    ]
