"""The port between the receiver and the kinds of brokers."""

import logging
from typing import Protocol

from herald_core.errors import HeraldError
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import FastDecoder, WireEvent

logger = logging.getLogger(__name__)


class QueueInUse(HeraldError):
    """Another monitor reads the queue that this one is to read."""


class EventConsumer(Protocol):
    """One subscription to the events of one broker, over one connection.

    Used by one thread at a time. After an error it is closed and thrown away.
    """

    messages: int
    """Messages read so far, readable or not; each holds one event or many."""

    empty_at: float
    """The time when the connection had no more data, as far as is known, in unix
    seconds."""

    invalid_messages: list[tuple[bytes, str]]
    """Bodies that cannot be decoded, and why, until the caller takes them."""

    raw_messages: list[tuple[list[RawEvent], str]]
    """Events and routing key of each message, if kept, until the caller takes them."""

    def open(self) -> None:
        """Connect and subscribe; return when the broker has confirmed it."""
        ...

    def read(self, wait: float, decode: FastDecoder) -> list[WireEvent]:
        """Return the events received in `wait` seconds, in order; maybe none.

        `decode` is tried first on each JSON body. Raises any error of the broker's
        library if the connection is lost.
        """
        ...

    def issue_ack(self) -> Ack:
        """Return the ack of all messages since the last ack.

        A durable queue holds them until the ack is confirmed.
        """
        ...

    @property
    def is_blocked(self) -> bool:
        """True if the broker sends no more messages before an acknowledgement."""
        ...

    @property
    def gap_reason(self) -> str:
        """The reason why events before `open` may be missing although the queue is
        durable.
        """
        ...

    def close(self, *, gently: bool) -> None:
        """Close the connection, in a few tenths of a second at most.

        `gently` closes it by the protocol; otherwise the socket is dropped.
        """
        ...
