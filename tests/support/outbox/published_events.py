"""Reads what is published on a Redis broker, as any listener would, for tests.

Unlike a receiver it asks workers for nothing: neither for events nor for heartbeats.
"""

import base64
import json
from typing import Any, cast

import redis


class PublishedEvents:
    """A subscription to all events of the broker at `url`."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = cast(Any, self._client).pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe("*celeryev*")
        self._events: list[dict[str, Any]] = []
        self.read_events()

    def close(self) -> None:
        """Close the connection."""
        self._pubsub.close()
        self._client.close()

    def read_events(self) -> list[dict[str, Any]]:
        """Return all events that have been published since the beginning."""
        while (message := self._pubsub.get_message(timeout=0.05)) is not None:
            body = base64.b64decode(json.loads(message["data"])["body"])
            found = json.loads(body)
            self._events += found if isinstance(found, list) else [found]
        return self._events

    def read_types(self, task_id: str) -> list[str]:
        """Return the types of the events of a task, in their order."""
        return [e["type"] for e in self.read_events() if e.get("uuid") == task_id]
