"""`herald replay`: a recording told again, to a store or on standard output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from herald_monitor.errors import BadInput
from herald_server.commands.lines import plain, to_json_line
from herald_server.commands.options import LOGS, log_to_stderr, options, settings_of

if TYPE_CHECKING:
    from herald_monitor.recording import Message
    from herald_monitor.replay import Replay

INTO = click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Redis or Valkey to tell it to; it keeps its other tasks.",
)
PRINT = click.option(
    "--print",
    "printed",
    is_flag=True,
    help="Show what becomes of the tasks as JSON lines; needs no store.",
)
SPEED = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="1: as fast as it was heard; 10: ten times that; 0 (default): at once.",
)
SHUFFLE = click.option(
    "--shuffle",
    type=int,
    metavar="SEED",
    help="Tell the events in an order that this number decides.",
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@options(INTO, PRINT, SPEED, SHUFFLE, LOGS)
def replay(
    file: Path,
    store_url: str | None,
    printed: bool,
    speed: float,
    shuffle: int | None,
    log_level: str,
) -> None:
    """Tell the events in FILE (of `herald record`) again, as a monitor heard them.

    Give --print to see the tasks that come of it, or --store to put them where
    `herald server` can show them. - reads standard input.
    """
    if printed == bool(store_url):
        raise click.UsageError(
            "give --print to see the tasks, or --store URL to keep them"
        )
    from herald_monitor.replay import shuffled

    log_to_stderr(log_level)
    messages = read(file)
    if shuffle is not None:
        messages = shuffled(messages, shuffle)
    told = asyncio.run(_tell(messages, store_url, speed))
    report(told)


def read(file: Path) -> list[Message]:
    """Return the messages of a recording. Raises `BadInput`."""
    from herald_monitor.recording import read_lines

    try:
        with click.open_file(str(file), "rb") as lines:
            return list(read_lines(lines, str(file)))
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror})") from error


async def _tell(
    messages: Sequence[Message], store_url: str | None, speed: float
) -> Replay:
    from herald_monitor.memory import MemoryStore
    from herald_monitor.model.redaction import Redactor
    from herald_monitor.replay import Replay, tasks_of
    from herald_monitor.stores import store_of

    settings = settings_of(store_url=store_url)
    store: Any = store_of(settings) if store_url else MemoryStore()
    await store.open()
    try:
        told = Replay(store, Redactor(settings.redact), speed)
        await told.run(messages)
        if not store_url:
            for task in await tasks_of(store):
                click.echo(to_json_line(msgspec.structs.replace(task, rev=None)))
    finally:
        await store.close()
    return told


SAMPLE = 400
"""Characters that are shown of what could not be read."""


def report(told: Replay) -> None:
    """Say on standard error what the recording held."""
    counters = told.counters
    heard = (
        f"{counters.events} events: {counters.task_events} of tasks,"
        f" {counters.worker_events} of workers, {counters.other_events} others"
    )
    click.echo(f"told {heard}; {counters.poison} set aside", err=True)
    for sample in told.samples:
        click.echo(f"  {plain(sample, SAMPLE)}", err=True)
