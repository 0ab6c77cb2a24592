"""Acknowledgements, from the store back to the broker.

A batch passes from the consumer's thread to the recorder's loop with its ack. The
recorder confirms the ack once the batch is stored. The consumer, on its own thread and
connection, acknowledges confirmed messages without a hole. The broker redelivers the
others when the connection ends.
"""

from __future__ import annotations

from collections import deque


class Ack:
    """A batch that the broker may still have to redeliver.

    It arrived in `messages` messages, of which `tag` is the last, and `size` bytes.
    """

    __slots__ = ("confirmed", "messages", "size", "tag")

    def __init__(self, tag: object = None, messages: int = 0, size: int = 0) -> None:
        self.tag = tag
        self.messages = messages
        self.size = size
        self.confirmed = False

    def confirm(self) -> None:
        """Confirm that the batch is stored, or dropped; from any thread."""
        self.confirmed = True


class AckTracker:
    """The tickets of one connection, in the order of their messages. For one thread."""

    def __init__(self) -> None:
        self._open: deque[Ack] = deque()
        self.messages = 0
        """Messages that are not acknowledged yet."""

    def issue(self, tag: object, messages: int, size: int) -> Ack:
        """Return the ticket of messages of `size` bytes, of which `tag` is the last."""
        ticket = Ack(tag, messages, size)
        self._open.append(ticket)
        self.messages += messages
        return ticket

    def pop_confirmed(self) -> object | None:
        """Return the last tag up to which all is confirmed by now, if that is news."""
        last = None
        while self._open and self._open[0].confirmed:
            ticket = self._open.popleft()
            self.messages -= ticket.messages
            last = ticket.tag
        return last
