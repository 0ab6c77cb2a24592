"""What a watch knows between its connections. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from herald_client.connection.error_messages import (
    UNAUTHENTICATED_CODES,
    make_unreachable,
)
from herald_client.connection.protocol import ConnectionLost, SubscriptionProtocol
from herald_client.connection.url import ServerUrl
from herald_client.errors import AccessRefused
from herald_client.models.changes import Change
from herald_core.system.backoff import Backoff

T = TypeVar("T")

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 6.4
"""Maximum seconds between connections. The pause is random, so that clients do not
reconnect at the same moment."""

Notify = Callable[[str], None]


class WatchState(Generic[T]):
    """The subscription, the cursor, and messages about the connection."""

    def __init__(
        self, address: ServerUrl, protocol: SubscriptionProtocol[T], notify: Notify
    ) -> None:
        self._server_url = address
        self.protocol = protocol
        self._notify = notify
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S, jitter=1.0)
        self._was_connected = False
        self._is_lost = False
        self.is_closed = False
        self.cursor = protocol.cursor

    @property
    def is_over(self) -> bool:
        """Whether no more changes follow."""
        return self.protocol.done or self.is_closed

    def receive(self, frame: str | bytes) -> list[Change[T]]:
        """Return the changes that a frame completes. Raises as the protocol does."""
        changes = self.protocol.receive(frame)
        self._was_connected = True
        if self.protocol.cursor != self.cursor:
            self._backoff.reset()
        if self._is_lost:
            self._notify(f"in touch with {self._server_url.url} again")
        self._is_lost = False
        for note in self.protocol.notes:
            self._notify(note)
        self.protocol.notes.clear()
        return changes

    def compute_pause(self, cut: ConnectionLost) -> float:
        """Return the seconds before the next connection.

        Raises `Unreachable` if no connection ever succeeded.
        """
        if not self._was_connected:
            raise make_unreachable(self._server_url, cut) from cut
        if not self._is_lost:
            self._notify(
                f"lost touch with {self._server_url.url} ({cut}); trying again"
            )
        self._is_lost = True
        pause = self._backoff.next_pause()
        return pause if cut.retry_after_s is None else cut.retry_after_s


def is_token_refused(error: AccessRefused) -> bool:
    """Return True if another token may be accepted."""
    return error.code in UNAUTHENTICATED_CODES
