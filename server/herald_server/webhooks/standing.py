"""How one endpoint fares, as it is counted here and told in the store."""

from __future__ import annotations

import asyncio
import time

import msgspec

from herald_monitor.model.shape import rfc3339
from herald_server.webhooks.breaker import CLOSED, Breaker
from herald_server.webhooks.lanes import Lanes
from herald_server.webhooks.register import State

MOVED_EVERY = 5.0
"""Seconds between two saves where nothing but the cursor moved."""


class Standing:
    """Counts on from `state`; disabled unless it was revived since."""

    def __init__(self, state: State, revived_at: float = 0.0) -> None:
        self._saved = state
        self._saved_at = 0.0
        self.accepted = state.accepted
        self.failed = state.failed
        self.given_up = state.given_up
        self.resets = state.resets
        self._success = state.last_success_at
        self._failure = state.last_failure_at
        self._error = state.last_error
        self._disabled_at = 0.0
        self._disabled_why: str | None = None
        self.disabled = asyncio.Event()
        if state.disabled_at > revived_at:
            self.disable(state.disabled_why or "", state.disabled_at)

    def accepted_at(self, now: float) -> None:
        """Count a message that was accepted."""
        self.accepted += 1
        self._success = rfc3339(now)

    def failed_at(self, now: float, why: str) -> None:
        """Count an attempt that was not."""
        self.failed += 1
        self._failure, self._error = rfc3339(now), why

    def disable(self, why: str, now: float) -> None:
        """Have nothing sent any more, until somebody asks for it."""
        self._disabled_at, self._disabled_why = now, why
        self.disabled.set()

    def news(self, lanes: Lanes, breaker: Breaker, now: float) -> State | None:
        """Return how it fares if that should be stored now."""
        state = State(
            cursor=str(lanes.cursor),
            accepted=self.accepted,
            failed=self.failed,
            given_up=self.given_up,
            resets=self.resets,
            waiting=len(lanes),
            late=len(lanes.kept),
            oldest_at=lanes.oldest or None,
            last_success_at=self._success,
            last_failure_at=self._failure,
            last_error=self._error,
            breaker=breaker.state,
            until=_unix(breaker, now),
            disabled_at=self._disabled_at,
            disabled_why=self._disabled_why,
        )
        if msgspec.structs.replace(self._saved, cursor=state.cursor) != state:
            return state
        moved = self._saved.cursor != state.cursor
        return state if moved and now - self._saved_at > MOVED_EVERY else None

    def saved(self, state: State) -> None:
        """Note that `state` was stored."""
        self._saved, self._saved_at = state, time.time()


def _unix(breaker: Breaker, now: float) -> float:
    if breaker.state == CLOSED:
        return 0.0
    # To the second: it is read by people, and what is equal is not stored again.
    return float(round(now + breaker.until - time.monotonic()))
