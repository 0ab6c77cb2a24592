"""Opening a connection on a thread that can be left behind."""

import threading
import time
from collections.abc import Callable

from herald_monitor.consumers import EventConsumer

DEADLINE = 15.0
"""Seconds after which an opening is given up, whatever it waits for."""

GLANCE = 0.05


class Opening:
    """One attempt to reach the broker.

    A name server, a firewall or a frozen broker can hold up a library's
    connect for seconds, and it cannot be called off. So it has its own
    thread, which cleans up after itself when nobody waits for it any more.
    """

    def __init__(self, connect: Callable[[], EventConsumer]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._consumer: EventConsumer | None = None
        self._error: Exception | None = None

    def wait(self, stopping: threading.Event) -> EventConsumer | None:
        """Return the open consumer, or nothing when `stopping` came first.

        Raises what opening raised, and `TimeoutError` after the deadline.
        """
        threading.Thread(target=self._open, name="herald-opening", daemon=True).start()
        given_up = time.monotonic() + DEADLINE
        while not self._done.wait(GLANCE):
            if stopping.is_set() or time.monotonic() > given_up:
                self._abandon()
                break
        if self._error is not None:
            raise self._error
        if self._done.is_set() or stopping.is_set():
            return None if self._abandoned else self._consumer
        raise TimeoutError(f"the broker did not answer within {DEADLINE:.0f} s")

    def _open(self) -> None:
        try:
            consumer = self._connect()
            with self._lock:
                self._consumer = consumer
            consumer.open()
        except Exception as error:  # told to whoever waits
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
