"""Appends entries to the stream, and keeps the stream within its bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from herald_worker.outbox.connection import StreamConnection
from herald_worker.outbox.encoding import Entry
from herald_worker.outbox.settings import OutboxSettings
from herald_worker.outbox.stream_format import get_stream_names

EXPIRE_S = 7 * 86_400
"""Seconds for which a stream stays that nothing is written to any more."""

CARE_EVERY_S = 30.0
"""Seconds between two looks at the size of the stream, and renewals of its expiry."""


class StreamAppender:
    """The stream in Redis, as one process writes it; used by one thread."""

    def __init__(
        self, settings: OutboxSettings, connect: Callable[[], StreamConnection]
    ) -> None:
        self._names = get_stream_names(settings.stream, settings.streams)
        self._max_bytes = settings.max_bytes
        self._maxlen = settings.maxlen
        self._lengths = [settings.maxlen] * len(self._names)
        self._connect = connect
        self._connection: StreamConnection | None = None
        self._care_at = 0.0

    def append(self, entries: list[Entry]) -> tuple[list[Entry], object]:
        """Append the entries; return those that were not taken, and why not."""
        try:
            answers = self._send(entries)
        except Exception as error:
            return entries, error
        left = [
            (entry, answer)
            for entry, answer in zip(entries, answers, strict=False)
            if isinstance(answer, Exception)
        ]
        return [entry for entry, _ in left], left[0][1] if left else None

    def disconnect(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection = self._connection, None
        # The stream may go meanwhile, and its expiry with it.
        self._care_at = 0.0
        if connection is not None:
            connection.close()

    def _send(self, entries: list[Entry]) -> list[object]:
        """Return the answer to each entry, or what is wrong with it."""
        if self._connection is None:
            self._connection = self._connect()
        pipe = self._connection.client.pipeline(transaction=False)
        for entry in entries:
            length = self._lengths[entry.stream]
            name = self._names[entry.stream]
            pipe.xadd(name, entry.fields, maxlen=length, approximate=True)
        now = time.monotonic()
        cares = now >= self._care_at
        if cares:
            self._care_at = now + CARE_EVERY_S
            self._add_care(pipe)
        answers = cast(list[object], pipe.execute(raise_on_error=False))
        if cares:
            self._adapt_lengths(answers[len(entries) :])
        return answers[: len(entries)]

    def _add_care(self, pipe: Any) -> None:
        for name in self._names:
            pipe.expire(name, EXPIRE_S)
            pipe.xlen(name)
            pipe.memory_usage(name)

    def _adapt_lengths(self, answers: list[object]) -> None:
        """Let the entries of each stream be as many as `max_bytes` can hold."""
        for stream in range(len(self._names)):
            _, entries, size = answers[3 * stream : 3 * stream + 3]
            # A user of few rights may not ask for the size, and then gets an error.
            if isinstance(entries, int) and isinstance(size, int) and size and entries:
                fitting = int(self._max_bytes / size * entries)
                self._lengths[stream] = max(1, min(self._maxlen, fitting))
