"""Connect on a daemon thread, so that a hanging connect can be abandoned."""

import threading
import time
from collections.abc import Callable

from herald_monitor.ingest.consumers.consumer import EventConsumer

CONNECT_TIMEOUT_S = 15.0
"""Seconds after which an opening is given up, whatever it waits for."""

POLL_INTERVAL_S = 0.05


class AbandonableConnect:
    """One attempt to connect to the broker.

    A name server, a firewall or a frozen broker can block a library's connect for
    seconds, and it cannot be cancelled. So it runs on its own thread, which cleans up
    after itself if the caller has stopped waiting.
    """

    def __init__(self, connect: Callable[[], EventConsumer]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._consumer: EventConsumer | None = None
        self._error: Exception | None = None

    def wait_connected(self, stopping: threading.Event) -> EventConsumer | None:
        """Return the open consumer, or None if `stopping` came first.

        Raises the error of the connect, and `TimeoutError` after the deadline.
        """
        threading.Thread(target=self._open, name="herald-opening", daemon=True).start()
        given_up = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._done.wait(POLL_INTERVAL_S):
            if stopping.is_set() or time.monotonic() > given_up:
                self._abandon()
                break
        if self._error is not None:
            raise self._error
        if self._done.is_set() or stopping.is_set():
            return None if self._abandoned else self._consumer
        raise TimeoutError(
            f"the broker did not answer within {CONNECT_TIMEOUT_S:.0f} s"
        )

    def _open(self) -> None:
        try:
            consumer = self._connect()
            with self._lock:
                self._consumer = consumer
            consumer.open()
        except Exception as error:  # passed to the waiting caller
            self._error = error
            self._abandon()
        with self._lock:
            abandoned = self._abandoned
            self._done.set()
        if abandoned and self._consumer is not None:
            self._consumer.close(gently=False)

    def _abandon(self) -> None:
        """Drop the socket, which wakes a thread that waits on it."""
        with self._lock:
            self._abandoned = True
            consumer = self._consumer
        if consumer is not None:
            consumer.close(gently=False)
