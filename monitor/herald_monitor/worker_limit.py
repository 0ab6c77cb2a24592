"""How many workers are kept: further names are refused, and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from herald_monitor.model.worker_words import KINDS
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Said

log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Sequence[Said], float, Ticket], None]

MAX_WORKERS = 5_000
"""Workers that are kept unless told otherwise: a store takes up to 1 KB for each."""

TOLD_FOR = 60.0
"""Seconds after the last refusal for which it is told."""


STORED_WITHIN = 60.0
"""Seconds for which a name that was taken may still wait to be stored."""


class WorkerLimit:
    """Decides whose words are taken: those of up to `most` hostnames.

    Who is known stays, so that no number of invented names takes the place of a
    worker that lives. `update` says who is stored: names that left make room. May be
    asked on any thread.
    """

    def __init__(self, most: int = MAX_WORKERS) -> None:
        self.most = most
        self.refused = 0
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._waiting: dict[str, float] = {}
        """Names that may not be stored yet, by when they were heard."""
        self._refused_at = 0.0

    @property
    def full(self) -> bool:
        """Whether further names are refused."""
        return len(self._known) >= self.most

    def admits(self, hostname: str, heard: float) -> bool:
        """Return True if what `hostname` said at `heard` (unix seconds) is taken."""
        with self._lock:
            if hostname in self._known:
                return True
            if not self.full:
                self._known.add(hostname)
                self._waiting[hostname] = heard
                return True
            if not self.problem(heard):
                log.warning("%s", self._sentence)
            self.refused += 1
            self._refused_at = heard
            return False

    def guard(self, deliver: Deliver) -> Deliver:
        """Return what delivers the same, but for what is refused."""

        def pass_on(events: Sequence[Said], heard: float, ticket: Ticket) -> None:
            deliver(self.without_refused(events, heard), heard, ticket)

        return pass_on

    def without_refused(self, events: Sequence[Said], heard: float) -> Sequence[Said]:
        """Return `events` without those of workers that are not taken.

        While there is room that costs nothing, and Celery's heartbeats wait like all
        events; beyond, a flood of them shall take no memory.
        """
        if not self.full:
            return events
        return [one for one in events if not self._refuses(one, heard)]

    def _refuses(self, event: Said, heard: float) -> bool:
        if not isinstance(event, dict) or event.get("type") not in KINDS:
            return False
        hostname = event.get("hostname")
        return isinstance(hostname, str) and not self.admits(hostname, heard)

    def update(self, stored: Iterable[str], now: float) -> None:
        """Note who is `stored` by `now`. Who was heard lately may not be yet."""
        found = set(stored)
        with self._lock:
            self._waiting = {
                name: heard
                for name, heard in self._waiting.items()
                if name not in found and now - heard < STORED_WITHIN
            }
            self._known = found | self._waiting.keys()

    def problem(self, now: float) -> str:
        """Return what to do about refusals shortly before `now`; nothing if none."""
        lately = self.refused and now - self._refused_at < TOLD_FOR
        return self._sentence if lately else ""

    @property
    def _sentence(self) -> str:
        return (
            f"workers under new names are not shown: {self.most} are known, as many as"
            " HERALD_MAX_WORKERS allows. Raise it, or find out who sends heartbeats"
            " under ever new names"
        )
