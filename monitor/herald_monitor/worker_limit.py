"""How many workers are kept: further names are refused, and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)

MAX_WORKERS = 10_000
"""Workers that are kept unless told otherwise: a store takes up to 1 KB for each."""

TOLD_FOR = 60.0
"""Seconds after the last refusal for which it is told."""


class WorkerLimit:
    """Decides whose words are taken: those of up to `most` hostnames.

    Who is known stays, so that no number of invented names takes the place of a
    worker that lives. `update` says who is stored: names that left make room.
    """

    def __init__(self, most: int = MAX_WORKERS) -> None:
        self.most = most
        self.refused = 0
        self._known: set[str] = set()
        self._lately: set[str] = set()
        self._refused_at = 0.0

    def admits(self, hostname: str, heard: float) -> bool:
        """Return True if what `hostname` said at `heard` (unix seconds) is taken."""
        if hostname in self._known:
            return True
        if len(self._known) < self.most:
            self._known.add(hostname)
            self._lately.add(hostname)
            return True
        if not self.problem(heard):
            log.warning("%s", self._sentence)
        self.refused += 1
        self._refused_at = heard
        return False

    def update(self, stored: Iterable[str]) -> None:
        """Note who is stored. Who came since the last time may not be yet."""
        self._known = {*stored, *self._lately}
        self._lately = set()

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
