"""A process that stores batches for the monitor (`python -m`, started by `pool`)."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable

from herald_core.errors import EventDecodeError, HeraldError
from herald_core.model.events.event import Event
from herald_core.model.events.redaction import Redactor
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_core.store.ports import Writer
from herald_core.system.gc_tuning import tune_gc
from herald_core.system.memory_release import return_large_blocks
from herald_monitor.ingest.consumers.event_header import decode_array
from herald_monitor.ingest.writers.protocol import (
    JobResult,
    StoreJob,
    decode_job,
    encode_frame,
    read_frame,
    to_failure,
    to_success,
)

SCRIPT_BATCH = 512
"""Changes that one script stores: while it does, another of us is at work."""

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes that are read ahead."""


async def serve(line: socket.socket) -> None:
    """Store the jobs of `line`, until it ends."""
    reader, writer = await asyncio.open_connection(sock=line, limit=BUFFER_BYTES)
    try:
        settings = MonitorSettings()
        store = make_store(settings, SCRIPT_BATCH)
        try:
            await store.open()
        except HeraldError as error:
            writer.write(encode_frame(to_failure(error)))
            return
        try:
            writer.write(encode_frame(JobResult()))
            await _handle_jobs(store, Redactor(settings.redact), reader, writer)
        finally:
            await store.close()
    finally:
        writer.close()


async def _handle_jobs(
    store: Writer,
    redact: Callable[[str], str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    tune_gc()
    return_large_blocks()
    while (said := await read_frame(reader)) is not None:
        writer.write(encode_frame(await _store_job(store, redact, said)))


async def _store_job(
    store: Writer, redact: Callable[[str], str], said: bytes
) -> JobResult:
    try:
        job = decode_job(said)
        return to_success(await store.store(_decode_job(job, redact), now=job.now))
    except Exception as error:  # the monitor decides about a retry
        return to_failure(error)


def _decode_job(job: StoreJob, redact: Callable[[str], str]) -> list[Event]:
    """Return all events of a job, decoded. Raises `EventDecodeError`."""
    events: list[Event] = [*job.events]
    try:
        for heard, array in job.headers:
            events += decode_array(array, heard, redact)
    except Exception as error:
        raise EventDecodeError(str(error)) from error
    return events


def main() -> None:
    """Serve the socket that was inherited."""
    # Only the monitor handles Ctrl-C: it first stores the received events.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        asyncio.run(serve(line))


if __name__ == "__main__":
    main()
