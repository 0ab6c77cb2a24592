"""A process that stores what a monitor hears: `python -m herald_monitor.writing_process
FD`.

One Python process merges 40,000 to 80,000 events a second. A monitor that hears more
shares them out, by the task that they are about, to a few of these. It ends when
its monitor does.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable

from herald_monitor.config import MonitorSettings
from herald_monitor.errors import HeraldError, NotRead
from herald_monitor.model.events import Event
from herald_monitor.model.redaction import Redactor
from herald_monitor.rare_collection import collect_rarely
from herald_monitor.store import Writer
from herald_monitor.stores import store_of
from herald_monitor.unread import read_all
from herald_monitor.writing_frames import (
    Done,
    Job,
    done,
    failed,
    frame,
    read_frame,
    read_hello,
    read_job,
)

STEP = 512
"""Changes that one script stores: while it does, another of us is at work."""

ROOM = 4 * 1024 * 1024
"""Bytes that are read ahead."""


async def serve(line: socket.socket) -> None:
    """Store what comes over `line`, until it ends."""
    reader, writer = await asyncio.open_connection(sock=line, limit=ROOM)
    try:
        said = await read_frame(reader)
        if said is None:
            return
        settings = MonitorSettings.model_validate_json(read_hello(said).settings)
        store = store_of(settings, STEP)
        try:
            await store.open()
        except HeraldError as error:
            writer.write(frame(failed(error)))
            return
        try:
            writer.write(frame(Done()))
            await _work(store, Redactor(settings.redact), reader, writer)
        finally:
            await store.close()
    finally:
        writer.close()


async def _work(
    store: Writer,
    redact: Callable[[str], str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    collect_rarely()
    while (said := await read_frame(reader)) is not None:
        writer.write(frame(await _stored(store, redact, said)))


async def _stored(store: Writer, redact: Callable[[str], str], said: bytes) -> Done:
    try:
        job = read_job(said)
        return done(await store.store(_events(job, redact), now=job.now))
    except Exception as error:  # the monitor decides what to do about it
        return failed(error)


def _events(job: Job, redact: Callable[[str], str]) -> list[Event]:
    """Return all that a job tells, read. Raises `NotRead`."""
    events: list[Event] = [*job.events]
    try:
        for heard, array in job.unread:
            events += read_all(array, heard, redact)
    except Exception as error:
        raise NotRead(str(error)) from error
    return events


def main() -> None:
    """Serve the socket that was inherited."""
    # Ctrl-C is for the monitor, which stores first what it has heard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        asyncio.run(serve(line))


if __name__ == "__main__":
    main()
