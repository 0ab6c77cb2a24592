"""The outbox of an app: takes its events in whatever process they are made."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from typing import Any

from celery import Celery
from celery.events.event import Event as make_event
from celery.utils.time import utcoffset

from herald_worker.outbox.buffer import Event
from herald_worker.outbox.connection import StreamConnection, connect
from herald_worker.outbox.settings import OutboxSettings
from herald_worker.outbox.stream_format import FROM_OUTBOX, RELEASE
from herald_worker.outbox.writer import StreamWriter

DRAIN_TIMEOUT_S = 5.0
FAILING_DRAIN_TIMEOUT_S = 1.0
"""Seconds that the end of a process waits for Redis; shorter if it is known away."""


class Outbox:
    """Events of one app, written by one thread in each process that makes any."""

    def __init__(
        self, app: Celery, settings: OutboxSettings, publishes_sent: bool = False
    ) -> None:
        self.settings = settings
        self.publishes_sent = publishes_sent
        """Whether Celery itself would publish `task-sent`."""
        self.worker_fields: dict[str, Any] = {FROM_OUTBOX: True}
        """What each event of a worker says besides Celery's own fields."""
        if settings.release:
            self.worker_fields[RELEASE] = settings.release
        self._app = weakref.ref(app)
        # A thread does not survive fork(): each process has a writer of its own.
        self._writers: dict[int, StreamWriter] = {}
        _outboxes.add(self)

    def put(self, event: Event) -> None:
        """Take an event; returns at once."""
        writer = self._writers.get(os.getpid())
        if writer is None:
            writer = self._start_writer()
        writer.put(event)

    def record(self, app: Any, kind: str, **fields: Any) -> None:
        """Take an event that Celery's dispatcher does not make."""
        clock = app.clock.forward()
        self.put(
            make_event(
                kind, utcoffset=utcoffset(), pid=os.getpid(), clock=clock, **fields
            )
        )

    def drain(
        self,
        timeout_s: float = DRAIN_TIMEOUT_S,
        failing_timeout_s: float = FAILING_DRAIN_TIMEOUT_S,
    ) -> bool:
        """Wait until what this process made is written; return False if it is not."""
        writer = self._writers.get(os.getpid())
        return writer is None or writer.drain(timeout_s, failing_timeout_s)

    def close(self) -> None:
        """Stop writing, without waiting for what is not written yet."""
        _outboxes.discard(self)
        for writer in self._writers.values():
            writer.stop()

    def _start_writer(self) -> StreamWriter:
        made = StreamWriter(self.settings, self._open_connection)
        # Of two threads that come first, one wins.
        writer = self._writers.setdefault(made.pid, made)
        if writer is made:
            self._forget_other_processes(made.pid)
            writer.start()
            drain_at_exit()
        return writer

    def _forget_other_processes(self, pid: int) -> None:
        """Free the copy of the parent's events, which the parent itself writes."""
        for other in set(self._writers) - {pid}:
            del self._writers[other]

    def _open_connection(self) -> StreamConnection:
        app = self._app()
        if app is None:
            raise RuntimeError("the app is gone")
        return connect(app, self.settings)


_outboxes: set[Outbox] = set()


def drain_all() -> None:
    """Write what this process made, for as long as its end may take."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    for outbox in list(_outboxes):
        outbox.drain(max(0.0, deadline - time.monotonic()))


def drain_at_exit() -> None:
    """Drain at the end of this process, also of one that `multiprocessing` started.

    Such a process ends without a call of what `atexit` registers.
    """
    if not _registered:
        atexit.register(drain_all)
        _registered.add(os.getpid())
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None:
            module.Finalize(None, drain_all, exitpriority=0)


_registered: set[int] = set()
