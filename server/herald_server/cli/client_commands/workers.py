"""`herald workers`."""

from __future__ import annotations

import time

import click

from herald_client import Herald
from herald_core.model.workers.worker import (
    DRAINING,
    OFFLINE,
    ONLINE,
    SILENT,
    WorkerView,
)
from herald_server.cli.client_options import json_option, print_notice, run_with_client
from herald_server.cli.formatting import (
    cut_first_line,
    format_age,
    format_table,
    to_json_line,
)

COLOURS = {ONLINE: "green", DRAINING: "yellow", SILENT: "red", OFFLINE: "magenta"}
COLUMNS = (
    *("WORKER", "STATE", "RUNS", "DONE", "LOAD", "LAST WORD", "CLOCK", "SOFTWARE"),
    "RELEASE",
)


@click.command()
@click.option(
    "--dismiss",
    metavar="NAME",
    help="Remove this worker, which must be silent or offline.",
)
@json_option
@run_with_client
async def workers(herald: Herald, as_json: bool, dismiss: str | None) -> None:
    """List the known workers, or remove one that is gone."""
    if dismiss is not None:
        done = await herald.dismiss_worker(dismiss)
        click.echo(to_json_line(done) if as_json else cut_first_line(done.message))
        return
    found = await herald.workers()
    if as_json:
        for worker in found:
            click.echo(to_json_line(worker))
        return
    now = time.time()
    for text in format_table(COLUMNS, (_format_row(worker, now) for worker in found)):
        click.echo(text)
    if not found:
        print_notice(
            "no worker was heard of; are they started with -I herald_worker.auto?"
        )


def _format_row(worker: WorkerView, now: float) -> tuple[str, ...]:
    skew = worker.clock_skew_ms
    return (
        cut_first_line(worker.hostname),
        click.style(cut_first_line(worker.state), fg=COLOURS.get(worker.state)),
        _format_load(worker),
        _format_number(worker.processed),
        " ".join(f"{load:.2f}" for load in worker.loadavg or ()),
        format_age(worker.last_heartbeat_at, now),
        f"{skew:+} ms" if skew is not None else "",
        cut_first_line(worker.software, 40),
        cut_first_line(worker.release, 20),
    )


def _format_load(worker: WorkerView) -> str:
    busy = _format_number(worker.active)
    return f"{busy}/{worker.slots}" if busy and worker.slots else busy


def _format_number(value: int | None) -> str:
    return "" if value is None else str(value)
