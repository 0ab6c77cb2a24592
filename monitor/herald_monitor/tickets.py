"""Confirmations on their way back, from the store to the broker.

A batch travels from the consumer's thread to the recorder's loop with its ticket.
Whoever has stored the batch confirms the ticket; the consumer, on its own thread
and connection, acknowledges what is confirmed without a hole. What was not
confirmed when the connection ends, the broker sends again.
"""

from __future__ import annotations

from collections import deque


class Ticket:
    """A batch that the broker may still have to send again.

    It came in so many `messages`, of which `tag` is the last, and `size` bytes.
    """

    __slots__ = ("confirmed", "messages", "size", "tag")

    def __init__(self, tag: object = None, messages: int = 0, size: int = 0) -> None:
        self.tag = tag
        self.messages = messages
        self.size = size
        self.confirmed = False

    def confirm(self) -> None:
        """Say that the batch is stored, or given up; from any thread."""
        self.confirmed = True


class Ledger:
    """The tickets of one connection, in the order of their messages. For one thread."""

    def __init__(self) -> None:
        self._open: deque[Ticket] = deque()
        self.messages = 0
        """Messages that are not acknowledged yet."""

    def issue(self, tag: object, messages: int, size: int) -> Ticket:
        """Return the ticket of messages of `size` bytes, of which `tag` is the last."""
        ticket = Ticket(tag, messages, size)
        self._open.append(ticket)
        self.messages += messages
        return ticket

    def settle(self) -> object | None:
        """Return the last tag up to which all is confirmed by now, if that is news."""
        last = None
        while self._open and self._open[0].confirmed:
            ticket = self._open.popleft()
            self.messages -= ticket.messages
            last = ticket.tag
        return last
