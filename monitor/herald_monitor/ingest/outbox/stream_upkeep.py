"""Keeps a stream short: trims it, and deletes consumers that left long ago."""

from __future__ import annotations

import time

from redis.exceptions import NoPermissionError

from herald_core.system.error_sentences import describe_briefly
from herald_monitor.ingest.outbox.consumer_group import GroupConsumer
from herald_monitor.ingest.outbox.entry_delivery import StreamCounts
from herald_monitor.ingest.outbox.stream_info import (
    GroupInfo,
    StreamInfo,
    find_trim_limit,
    list_forgotten_consumers,
)

TRIM_INTERVAL_S = 10.0
OUTBOX_SETTING = "HERALD_OUTBOX_URL"


class StreamUpkeep:
    """The upkeep of one stream by the consumer `name`. Entries stay `keep` seconds."""

    def __init__(self, name: str, keep: float, counts: StreamCounts) -> None:
        self.problem = ""
        self._name = name
        self._keep_ms = round(keep * 1000)
        self._counts = counts
        self._done_at = 0.0

    def run(self, consumer: GroupConsumer, info: StreamInfo, group: GroupInfo) -> None:
        """Do what is due. Raises like `GroupConsumer`."""
        now = time.monotonic()
        if self.problem or now - self._done_at < TRIM_INTERVAL_S:
            return
        self._done_at = now
        try:
            if (limit := find_trim_limit(info, self._keep_ms)) is not None:
                self._counts.trimmed += consumer.trim(limit)
            for name in list_forgotten_consumers(info, group, self._name):
                consumer.delete_consumer(name)
        except NoPermissionError as error:
            # Reading goes on without it; MAXLEN of the workers still holds.
            self.problem = describe_briefly(error, OUTBOX_SETTING)
