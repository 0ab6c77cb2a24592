"""The maximum number of workers: further hostnames are refused, and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from herald_core.model.workers.worker_reports import WORKER_EVENT_KINDS
from herald_core.settings import MAX_WORKERS
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.event_header import WireEvent

log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Sequence[WireEvent], float, Ack], None]


PROBLEM_TTL_S = 60.0
"""Seconds after the last refusal for which it is reported."""


STORE_TIMEOUT_S = 60.0
"""Seconds for which a name that was taken may still wait to be stored."""


class WorkerLimit:
    """Accepts events of up to `most` hostnames.

    A known hostname stays, so that invented names never replace a running worker.
    `update` sets the stored hostnames: deleted ones free their place. Thread-safe.
    """

    def __init__(self, most: int = MAX_WORKERS) -> None:
        self.max_workers = most
        self.refused = 0
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._waiting: dict[str, float] = {}
        """Names that may not be stored yet, by time of arrival."""
        self._refused_at = 0.0

    @property
    def is_full(self) -> bool:
        """True if further hostnames are refused."""
        return len(self._known) >= self.max_workers

    def is_admitted(self, hostname: str, heard: float) -> bool:
        """Return True if an event of `hostname` at `heard` (unix s) is accepted."""
        with self._lock:
            if hostname in self._known:
                return True
            if not self.is_full:
                self._known.add(hostname)
                self._waiting[hostname] = heard
                return True
            if not self.describe_problem(heard):
                log.warning("%s", self._message)
            self.refused += 1
            self._refused_at = heard
            return False

    def wrap_deliver(self, deliver: Deliver) -> Deliver:
        """Return a function that delivers the accepted events only."""

        def pass_on(events: Sequence[WireEvent], heard: float, ticket: Ack) -> None:
            # While there is room that costs nothing, and Celery's heartbeats wait like
            # all events; beyond, a flood of them shall take no memory.
            if len(self._known) >= self.max_workers:
                events = [one for one in events if not self._is_refused(one, heard)]
            deliver(events, heard, ticket)

        return pass_on

    def _is_refused(self, event: WireEvent, heard: float) -> bool:
        if not isinstance(event, dict) or event.get("type") not in WORKER_EVENT_KINDS:
            return False
        hostname = event.get("hostname")
        return isinstance(hostname, str) and not self.is_admitted(hostname, heard)

    def update(self, stored: Iterable[str], now: float) -> None:
        """Record the `stored` hostnames at `now`. Recent ones may not be stored yet."""
        found = set(stored)
        with self._lock:
            self._waiting = {
                name: heard
                for name, heard in self._waiting.items()
                if name not in found and now - heard < STORE_TIMEOUT_S
            }
            self._known = found | self._waiting.keys()

    def describe_problem(self, now: float) -> str:
        """Return an advice about refusals shortly before `now`; empty if there are
        none.
        """
        lately = self.refused and now - self._refused_at < PROBLEM_TTL_S
        return self._message if lately else ""

    @property
    def _message(self) -> str:
        return (
            f"workers under new names are not shown: {self.max_workers} are known, as"
            " many as HERALD_MAX_WORKERS allows. Raise it, or find out who sends"
            " heartbeats under ever new names"
        )
