"""The thread that writes a process' events to the stream.

It retries for as long as Redis is away, keeps the order, and never makes the process
wait. Who appends wakes it only if it waits; while there is much to do it writes every
`PAUSE_S`, so that an entry holds several events.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from herald_worker.outbox.appender import StreamAppender
from herald_worker.outbox.buffer import Event, OutboxBuffer
from herald_worker.outbox.connection import (
    StreamConnection,
    describe_error,
    describe_target,
)
from herald_worker.outbox.encoding import encode_batch
from herald_worker.outbox.settings import OutboxSettings

logger = logging.getLogger(__name__)

PAUSE_S = 0.01
"""Seconds between two writes; a killed process loses about as much."""

MAX_BATCH_EVENTS = 2000
"""Events that are written in one step: several entries of a pipeline."""

RETRY_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class StreamWriter:
    """A buffer with a daemon thread that writes it; belongs to one process."""

    def __init__(
        self, settings: OutboxSettings, connect: Callable[[], StreamConnection]
    ) -> None:
        self.pid = os.getpid()
        self.buffer = OutboxBuffer(settings.max_events)
        self._settings = settings
        self._appender = StreamAppender(settings, connect)
        self._wake = threading.Event()
        self._waits = False
        self._writes = False
        self._hurries = False
        self._stops = False
        self._failures = 0
        self._thread = threading.Thread(
            target=self._run, name="herald-outbox", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, event: Event) -> None:
        """Take an event; returns at once, whatever Redis does."""
        self.buffer.append(event)
        if self._waits:
            self._waits = False
            self._wake.set()

    @property
    def has_unwritten(self) -> bool:
        """Whether there are events that are not in the stream yet."""
        return bool(self._writes or len(self.buffer))

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failures > 0

    def drain(self, timeout_s: float, failing_timeout_s: float) -> bool:
        """Wait until all events are written; return False if that takes too long.

        While Redis is away it waits `failing_timeout_s` at most.
        """
        self._hurries = True
        self._wake.set()
        begin = time.monotonic()
        try:
            while self.has_unwritten and self._thread.is_alive():
                limit = failing_timeout_s if self.is_failing else timeout_s
                if time.monotonic() - begin > limit:
                    return False
                time.sleep(0.002)
        finally:
            self._hurries = False
        return not self.has_unwritten

    def stop(self) -> None:
        """Let the thread end; what it has not written is gone."""
        self._stops = True
        self._wake.set()

    def _run(self) -> None:
        while not self._stops:
            try:
                self._wait_for_events()
                self._write_batch()
            except Exception:
                logger.exception("Herald's outbox lost a batch of events")
            finally:
                self._writes = False
            if not self._hurries:
                time.sleep(PAUSE_S)

    def _wait_for_events(self) -> None:
        while not len(self.buffer) and not self._stops:
            self._wake.clear()
            self._waits = True
            # An event may have come before the flag was up.
            if not len(self.buffer) and not self._stops:
                self._wake.wait()
            self._waits = False

    def _write_batch(self) -> None:
        self._writes = True
        batch = self.buffer.take(MAX_BATCH_EVENTS)
        left = encode_batch(batch, self.pid, self._settings.streams)
        while left and not self._stops:
            left, error = self._appender.append(left)
            if error is None:
                self._report_success()
            else:
                self._report_failure(error)
                self._appender.disconnect()
                self._pause_before_retry()

    def _pause_before_retry(self) -> None:
        step = min(self._failures, len(RETRY_PAUSES_S)) - 1
        time.sleep(RETRY_PAUSES_S[step])

    def _report_failure(self, error: object) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning(
                "Herald's outbox cannot write events to %s: %s. They are kept in "
                "memory, the newest %d, until it can; tasks go on as ever.",
                describe_target(self._settings),
                describe_error(error),
                self._settings.max_events,
            )

    def _report_success(self) -> None:
        if self._failures:
            logger.warning("Herald's outbox writes events again")
        self._failures = 0
