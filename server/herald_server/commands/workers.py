"""`herald workers`."""

from __future__ import annotations

import time

import click

from herald_monitor.model.workers import DRAINING, OFFLINE, ONLINE, SILENT, WorkerImage
from herald_server.client import Herald
from herald_server.commands.asking import connected, json_option, note
from herald_server.commands.lines import ago, plain, table, to_json_line

COLOURS = {ONLINE: "green", DRAINING: "yellow", SILENT: "red", OFFLINE: "magenta"}
HEAD = ("WORKER", "STATE", "RUNS", "DONE", "LOAD", "LAST WORD", "CLOCK", "SOFTWARE")


@click.command()
@click.option(
    "--dismiss",
    metavar="NAME",
    help="Forget this worker, which is silent or offline, instead of listing.",
)
@json_option
@connected
async def workers(herald: Herald, as_json: bool, dismiss: str | None) -> None:
    """List the workers that were heard of, or dismiss one that is gone."""
    if dismiss is not None:
        done = await herald.dismiss_worker(dismiss)
        click.echo(to_json_line(done) if as_json else plain(done.message))
        return
    found = await herald.workers()
    if as_json:
        for worker in found:
            click.echo(to_json_line(worker))
        return
    now = time.time()
    for text in table(HEAD, (_row(worker, now) for worker in found)):
        click.echo(text)
    if not found:
        note("no worker was heard of; are they started with -E (events on)?")


def _row(worker: WorkerImage, now: float) -> tuple[str, ...]:
    skew = worker.clock_skew_ms
    return (
        plain(worker.hostname),
        click.style(plain(worker.state), fg=COLOURS.get(worker.state)),
        _busy(worker),
        _number(worker.processed),
        " ".join(f"{load:.2f}" for load in worker.loadavg or ()),
        ago(worker.last_heartbeat_at, now),
        f"{skew:+} ms" if skew is not None else "",
        plain(worker.software, 40),
    )


def _busy(worker: WorkerImage) -> str:
    busy = _number(worker.active)
    return f"{busy}/{worker.slots}" if busy and worker.slots else busy


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
