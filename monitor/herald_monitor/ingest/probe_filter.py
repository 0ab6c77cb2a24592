"""Events that concern the stream itself: our probes, and signs of new workers."""

from __future__ import annotations

from herald_monitor.celery_client.broker.control_broadcaster import (
    PROBE_EVENT,
    ControlBroadcaster,
)
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import WireEvent

MAX_KNOWN_WORKERS = 10_000
"""Hostnames that are recorded as asked for events: any publisher can invent more."""

WORKER_ONLINE = "worker-online"
SPECIAL_EVENT_TYPES = frozenset({WORKER_ONLINE, "worker-heartbeat", PROBE_EVENT})


class KnownWorkers:
    """The hostnames received on a connection; above `most` all count as unknown."""

    def __init__(self, most: int = MAX_KNOWN_WORKERS) -> None:
        self._max_names = most
        self._names: set[str] = set()

    def add(self, name: str) -> bool:
        """Add `name`; return True if it is new.

        Above the limit all are deleted: a repeated request does no harm.
        """
        if name in self._names:
            return False
        if len(self._names) >= self._max_names:
            self._names.clear()
        self._names.add(name)
        return True

    def clear(self) -> None:
        """Delete all names: the connection is new."""
        self._names.clear()

    def __len__(self) -> int:
        return len(self._names)


class ProbeFilter:
    """Removes probes from the events, and asks new workers for task events."""

    def __init__(self, broadcaster: ControlBroadcaster) -> None:
        self._broadcaster = broadcaster
        self._workers = KnownWorkers()
        self.probed_until: float | None = None
        """Send time of the newest probe that came back on this connection."""

    def reset(self) -> None:
        """Forget probes and workers: the connection is new."""
        self._workers.clear()
        self.probed_until = None

    def filter(self, events: list[WireEvent]) -> list[WireEvent]:
        """Return `events` without the probes of any monitor."""
        # An event of the fast path belongs to a task.
        found = [
            e
            for e in events
            if isinstance(e, dict) and e["type"] in SPECIAL_EVENT_TYPES
        ]
        if not found:
            return events
        probes = 0
        for event in found:
            if event["type"] == PROBE_EVENT:
                probes += 1
                self._match_probe(event)
            else:
                self._enable_events(event)
        return [e for e in events if not _is_probe(e)] if probes else events

    def _match_probe(self, event: RawEvent) -> None:
        sent = event.get("timestamp")
        if isinstance(sent, float) and self._broadcaster.match_probe(sent):
            self.probed_until = sent

    def _enable_events(self, event: RawEvent) -> None:
        name = str(event.get("hostname"))
        if self._workers.add(name) or event["type"] == WORKER_ONLINE:
            self._broadcaster.ask_for_events()


def _is_probe(event: WireEvent) -> bool:
    return isinstance(event, dict) and event["type"] == PROBE_EVENT
