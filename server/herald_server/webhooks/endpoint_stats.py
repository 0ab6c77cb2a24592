"""Statistics and state of one endpoint, and when to store them."""

from __future__ import annotations

import asyncio
import time

import msgspec

from herald_core.model.tasks.views import to_rfc3339
from herald_server.webhooks.circuit_breaker import CLOSED, CircuitBreaker
from herald_server.webhooks.delivery_queue import DeliveryQueue
from herald_server.webhooks.repository import EndpointState

SAVE_INTERVAL_S = 5.0
"""Seconds between two saves where nothing but the cursor moved."""


class EndpointStats:
    """Counts from `state` on; disabled unless the endpoint was enabled since."""

    def __init__(self, state: EndpointState, revived_at: float = 0.0) -> None:
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

    def record_accepted(self, now: float) -> None:
        """Count an accepted message."""
        self.accepted += 1
        self._success = to_rfc3339(now)

    def record_failed(self, now: float, why: str) -> None:
        """Count a failed attempt."""
        self.failed += 1
        self._failure, self._error = to_rfc3339(now), why

    def record_reset(self) -> None:
        """Count that changes were missed."""
        self.resets += 1

    def disable(self, why: str, now: float) -> None:
        """Disable the endpoint until it is enabled again."""
        self._disabled_at, self._disabled_why = now, why
        self.disabled.set()

    def find_unsaved(
        self, queue: DeliveryQueue, breaker: CircuitBreaker, now: float
    ) -> EndpointState | None:
        """Return the state if it should be stored now, else None."""
        state = EndpointState(
            cursor=str(queue.cursor),
            accepted=self.accepted,
            failed=self.failed,
            given_up=self.given_up,
            resets=self.resets,
            waiting=len(queue),
            late=len(queue.deferred),
            oldest_at=queue.oldest_at or None,
            last_success_at=self._success,
            last_failure_at=self._failure,
            last_error=self._error,
            breaker=breaker.state,
            until=_to_unix(breaker, now),
            disabled_at=self._disabled_at,
            disabled_why=self._disabled_why,
        )
        if msgspec.structs.replace(self._saved, cursor=state.cursor) != state:
            return state
        moved = self._saved.cursor != state.cursor
        return state if moved and now - self._saved_at > SAVE_INTERVAL_S else None

    def on_saved(self, state: EndpointState) -> None:
        """Record that `state` was stored."""
        self._saved, self._saved_at = state, time.time()


def _to_unix(breaker: CircuitBreaker, now: float) -> float:
    if breaker.state == CLOSED:
        return 0.0
    # To the second: it is for people, and an equal value is not stored again.
    return float(round(now + breaker.until - time.monotonic()))
