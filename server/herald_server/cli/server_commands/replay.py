"""`herald replay`: replay a recording into a store, or print its tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from herald_core.errors import InvalidInput
from herald_server.cli.formatting import cut_first_line, to_json_line
from herald_server.cli.server_options import (
    LOG_OPTIONS,
    SOURCE_OPTIONS,
    combine_options,
)
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import ServerSettings, make_settings

if TYPE_CHECKING:
    from celery import Celery

    from herald_core.store.ports import Store
    from herald_monitor.ingest.outbox.options import OutboxOptions
    from herald_monitor.ingest.recordings.format import RecordedMessage
    from herald_monitor.ingest.recordings.outbox_replay import OutboxReplay
    from herald_monitor.ingest.recordings.replay import ReplaySession

STORE_OPTION = click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Redis or Valkey to write to; its other tasks stay.",
)
PRINT_OPTION = click.option(
    "--print",
    "printed",
    is_flag=True,
    help="Print the changes of the tasks as JSON lines; needs no store.",
)
SPEED_OPTION = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="1: at the recorded speed; 10: ten times that; 0 (default): at once.",
)
SHUFFLE_OPTION = click.option(
    "--shuffle",
    type=int,
    metavar="SEED",
    help="Shuffle the events with this seed.",
)


OUTBOX_OPTION = click.option(
    "--from-outbox",
    "from_outbox",
    is_flag=True,
    help="Replay what the worker outbox still holds, instead of a file: after a store"
    " has lost its data.",
)


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), required=False
)
@combine_options(
    *(STORE_OPTION, PRINT_OPTION, SPEED_OPTION, SHUFFLE_OPTION),
    *(OUTBOX_OPTION, SOURCE_OPTIONS, LOG_OPTIONS),
)
def replay(
    file: Path | None,
    store_url: str | None,
    printed: bool,
    speed: float,
    shuffle: int | None,
    from_outbox: bool,
    log_level: str,
    **given: Any,
) -> None:
    """Replay the events in FILE (of `herald record`), as a monitor received them.

    With --print the resulting tasks are printed; with --store they are written to
    a store, where `herald server` can show them. - reads standard input.

    With --from-outbox the events come from the outbox of the workers of --broker or
    -A (or HERALD_OUTBOX_URL); those that the store has already change nothing.
    """
    if printed == bool(store_url):
        raise click.UsageError(
            "give --print to see the tasks, or --store URL to keep them"
        )
    if from_outbox == bool(file):
        raise click.UsageError("give either FILE or --from-outbox")
    if from_outbox and (speed or shuffle is not None):
        raise click.UsageError("--speed and --shuffle need FILE")
    log_to_stderr(log_level)
    if file is None:
        replay_outbox(store_url, given)
    else:
        replay_file(file, store_url, speed, shuffle)


def replay_file(
    file: Path, store_url: str | None, speed: float, shuffle: int | None
) -> None:
    """Replay a recording, and print a summary."""
    from herald_monitor.ingest.recordings.replay import shuffle_messages

    messages = read_recording(file)
    if shuffle is not None:
        messages = shuffle_messages(messages, shuffle)
    told = asyncio.run(_replay(messages, store_url, speed))
    print_report(told)


def read_recording(file: Path) -> list[RecordedMessage]:
    """Return the messages of a recording. Raises `InvalidInput`."""
    from herald_monitor.ingest.recordings.format import iter_messages

    try:
        with click.open_file(str(file), "rb") as lines:
            return list(iter_messages(lines, str(file)))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read ({error.strerror})") from error


async def _replay(
    messages: Sequence[RecordedMessage], store_url: str | None, speed: float
) -> ReplaySession:
    from herald_core.model.events.redaction import Redactor
    from herald_monitor.ingest.recordings.replay import ReplaySession

    settings = make_settings(store_url=store_url)
    async with open_target(settings, store_url) as store:
        told = ReplaySession(store, Redactor(settings.redact), speed)
        await told.run(messages)
    return told


@contextlib.asynccontextmanager
async def open_target(
    settings: ServerSettings, store_url: str | None
) -> AsyncGenerator[Store]:
    """Open the store to write to; without one, print its tasks at the end."""
    from herald_core.store.factory import make_store
    from herald_core.store.memory.store import MemoryStore
    from herald_monitor.ingest.recordings.replay import read_all_tasks

    store: Store = make_store(settings) if store_url else MemoryStore()
    await store.open()
    try:
        yield store
        if not store_url:
            for task in await read_all_tasks(store):
                click.echo(to_json_line(msgspec.structs.replace(task, rev=None)))
    finally:
        await store.close()


def replay_outbox(store_url: str | None, given: Mapping[str, Any]) -> None:
    """Replay the outbox, and print a sentence. Raises `HeraldError`."""
    from herald_monitor.ingest.outbox.options import has_outbox
    from herald_monitor.runtime.daemon import make_outbox_options
    from herald_monitor.runtime.process import load_celery_app

    settings = make_settings(store_url=store_url, **given)
    app, options = load_celery_app(settings), make_outbox_options(settings)
    if not has_outbox(app, options):
        raise InvalidInput(
            "there is no outbox on this broker, which is no Redis; say where it is:"
            " HERALD_OUTBOX_URL=redis://HOST:6379/0"
        )
    told = asyncio.run(_replay_outbox(app, options, settings, store_url))
    print_report(told)
    click.echo(describe_outbox_replay(told), err=True)


async def _replay_outbox(
    app: Celery,
    options: OutboxOptions,
    settings: ServerSettings,
    store_url: str | None,
) -> OutboxReplay:
    from herald_core.model.events.redaction import Redactor
    from herald_monitor.ingest.recordings.outbox_replay import OutboxReplay

    async with open_target(settings, store_url) as store:
        told = OutboxReplay(app, options, store, Redactor(settings.redact))
        await told.run()
    return told


def describe_outbox_replay(told: OutboxReplay) -> str:
    """Return a sentence about what was replayed."""
    from herald_core.model.tasks.views import to_rfc3339

    found = told.replayed
    if found.since is None or found.until is None:
        return (
            f"the outbox at {told.name} holds no entries: workers write to it with"
            " -I herald_worker.auto"
        )
    return (
        f"replayed {found.entries} entries of the outbox at {told.name}, from"
        f" {to_rfc3339(found.since)} to {to_rfc3339(found.until)}"
    )


MAX_SAMPLE_CHARS = 400
"""Printed characters of an unreadable event."""


def print_report(told: ReplaySession | OutboxReplay) -> None:
    """Print a summary of the events to standard error."""
    counters = told.counters
    heard = (
        f"{counters.events} events: {counters.task_events} of tasks,"
        f" {counters.worker_events} of workers, {counters.other_events} others"
    )
    click.echo(f"told {heard}; {counters.poison} set aside", err=True)
    for sample in told.samples:
        click.echo(f"  {cut_first_line(sample, MAX_SAMPLE_CHARS)}", err=True)
