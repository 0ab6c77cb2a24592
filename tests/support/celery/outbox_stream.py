"""Reads what workers and producers wrote to the outbox stream, for tests."""

import json
from typing import Any, cast

import redis

from herald_worker.outbox.stream_format import DEFAULT_STREAM, DROPPED, EVENTS

AUTO = ("-I", "herald_worker.auto")
"""The options of a worker that give it the outbox."""


class OutboxReader:
    """The stream in the Redis at `url`, read without a consumer group."""

    def __init__(self, url: str, stream: str = DEFAULT_STREAM) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)
        self._stream = stream

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def read_entries(self) -> list[dict[str, str]]:
        """Return the fields of all entries, in their order."""
        found = cast(list[Any], self._client.xrange(self._stream))
        return [cast(dict[str, str], fields) for _, fields in found]

    def read_events(self) -> list[dict[str, Any]]:
        """Return all events, in their order."""
        return [
            event
            for fields in self.read_entries()
            for event in cast(list[dict[str, Any]], json.loads(fields[EVENTS]))
        ]

    def read_delays_s(self) -> list[float]:
        """Return for each event the seconds from its making to its arrival."""
        found = cast(list[Any], self._client.xrange(self._stream))
        return [
            int(str(entry_id).partition("-")[0]) / 1000 - float(event["timestamp"])
            for entry_id, fields in found
            for event in cast(list[dict[str, Any]], json.loads(fields[EVENTS]))
        ]

    def read_task(self, task_id: str) -> list[dict[str, Any]]:
        """Return the events of a task, in their order."""
        return [event for event in self.read_events() if event.get("uuid") == task_id]

    def read_types(self, task_id: str) -> list[str]:
        """Return the types of the events of a task, in their order."""
        return [str(event["type"]) for event in self.read_task(task_id)]

    def count_dropped(self) -> int:
        """Return how many events the writers say that they dropped."""
        return sum(int(fields.get(DROPPED, 0)) for fields in self.read_entries())

    def get_expiry_s(self) -> int:
        """Return the seconds after which the stream expires; -1 for never."""
        return int(cast(Any, self._client).ttl(self._stream))
