"""What a thread has sent to the broker so far, for a caller that may give it up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import anyio
from anyio import to_thread


class SendingEnded(Exception):
    """The caller was told that this is not sent."""


class SendLog:
    """The messages that the broker took, and the one that is on its way.

    For one thread that sends, and another that may close it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_closed = False
        self.under_way: str | None = None
        """The id of the task that is being sent."""
        self.sent: set[str] = set()
        self.moved_at = time.monotonic()
        """When the broker took the latest message; at first, when this was made."""

    def begin(self, task_id: str) -> None:
        """Record that a task is to be sent now. Raises `SendingEnded`."""
        with self._lock:
            if self._is_closed:
                raise SendingEnded
            self.under_way = task_id

    def finish(self, task_id: str) -> None:
        """Record that the broker has taken the task."""
        with self._lock:
            self.under_way = None
            self.sent.add(task_id)
            self.moved_at = time.monotonic()

    def close(self) -> None:
        """Let nothing more be sent."""
        with self._lock:
            self._is_closed = True


async def run_while_moving(
    run: Callable[[], None], log: SendLog, stall_s: float, most_s: float
) -> None:
    """Call `run`, which sends what `log` says, in a thread.

    Raises `TimeoutError` once nothing was sent for `stall_s` seconds, or after `most_s`
    seconds; the thread then sends at most the message that is on its way.
    """
    end = log.moved_at + most_s
    thread = asyncio.ensure_future(to_thread.run_sync(run, abandon_on_cancel=True))
    # A client that disconnects must not leave a half-recorded start.
    with anyio.CancelScope(shield=True):
        while not thread.done():
            left = min(log.moved_at + stall_s, end) - time.monotonic()
            if left <= 0:
                log.close()
                thread.cancel()
                raise TimeoutError
            await asyncio.wait([thread], timeout=left)
    thread.result()
