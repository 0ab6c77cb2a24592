"""The format of the outbox stream: written by workers and producers, read by monitors.

An entry of the stream holds a batch of events of one process, in their order:

- `events`: a JSON array of event objects, as Celery's dispatcher makes them. Events of
  tasks may have these keys besides Celery's: `queue`, `exchange`, `routing_key`,
  `priority`, `group_id`, `group_index`, `chord_id`, `stamps`, `traceparent`, `tags`.
  Events of workers have `outbox: true`, and `release`, the version of the project, if
  the worker knows it.
- `writer`: `<hostname>/<pid>` of the process.
- `dropped`, `dropped_since`: how many events the process dropped before this batch
  because its memory was full, and the time of the first of them (unix seconds). Only
  present if there are any.

The id of an entry is its time of arrival, in unix milliseconds by the clock of Redis.
With several streams the task id decides which one holds the events of a task; events of
workers are in the first.
"""

from __future__ import annotations

from zlib import crc32

DEFAULT_STREAM = "herald:outbox"
"""The name of the stream, or with several the prefix of their names."""

DEFAULT_GROUP = "herald"
"""The consumer group that all monitors of one store share."""

MAX_STREAMS = 64

EVENTS = "events"
WRITER = "writer"
DROPPED = "dropped"
DROPPED_SINCE = "dropped_since"

FROM_OUTBOX = "outbox"
"""The key of worker events that says that the worker writes to the outbox."""

RELEASE = "release"
"""The key of worker events that holds the version of the project, a text."""


def get_stream_names(stream: str, number: int) -> tuple[str, ...]:
    """Return the names of the `number` streams: without braces, so that a cluster
    spreads them over its nodes."""
    if number == 1:
        return (stream,)
    return tuple(f"{stream}:{index}" for index in range(number))


def choose_stream(task_id: str | None, number: int) -> int:
    """Return the index of the stream for events of a task; 0 for those of workers."""
    if number == 1 or not task_id:
        return 0
    return crc32(task_id.encode("utf-8", "replace")) % number
