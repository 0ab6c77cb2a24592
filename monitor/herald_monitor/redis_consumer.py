"""Events straight from Redis' pub/sub: own socket, own reader, no kombu message.

kombu spends 28 µs on an event before anybody looks at it; this way costs a
quarter of it, leaves no member in `_kombu.binding.*` behind, and sees the
messages that kombu would swallow. kombu still makes the connection, so URLs,
TLS, Sentinel and `broker_transport_options` mean what they mean to Celery.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import hiredis
from celery import Celery
from kombu import Connection

from herald_monitor.consumers import PATIENCE, accepted, let_go
from herald_monitor.errors import HeraldError
from herald_monitor.refusals import refusal_of
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Quick, Said
from herald_monitor.wire import (
    Poison,
    RawEvent,
    Tap,
    inside,
    quickly_read,
    sort_out,
    unwrap,
    usual_body,
)

CHUNK = 256 * 1024
"""Bytes that are taken off the line at once, if so many are there."""

FED = 16 * 1024
"""Bytes that are given to hiredis at once: behind each reply it moves all that it still
holds, which in a flood took longer than reading."""

LOOK_EVERY = 0.1
"""Seconds between two looks whether anything waits on the line."""

MESSAGES = (b"pmessage", b"message")
SUBSCRIBED = (b"psubscribe", b"subscribe")
_GLOB = str.maketrans({c: f"\\{c}" for c in "*?[]\\"})


class RedisRefusal(HeraldError):
    """Redis answered the subscription with an error."""


class RedisConsumer:
    """A subscription to the event exchange on Redis or Valkey."""

    def __init__(
        self,
        app: Celery,
        poison: Poison,
        connection: Connection,
        tap: Tap | None = None,
        reading: Callable[[], Quick] = lambda: quickly_read,
    ) -> None:
        self.messages = 0
        self.empty_at = 0.0
        self._looked_at = 0.0
        self._poll = select.poll()
        self._poison = poison
        self._accept = accepted(app)
        self._prefix = ""
        self._exchange = str(cast(Any, app.conf).event_exchange)
        self._connection = connection
        self._tap = tap
        self._reading = reading
        self._quickly: Quick = quickly_read
        self._line: Any = None  # redis-py's connection, which knows how to connect
        self._socket: socket.socket | None = None
        self._replies: Any = None
        self._early: list[Said] = []
        self._size = 0
        """Bytes that came since the last ticket."""
        self._chunk = bytearray()

    def open(self) -> None:
        channel = cast(Any, self._connection).channel()
        self._line = line = channel.client.connection_pool.get_connection()
        line.send_command(*subscription(channel, self._exchange))
        self._prefix = prefix_of(channel, self._exchange)
        self._socket = cast(socket.socket, line._sock)
        self._replies = hiredis.Reader()
        self._chunk = bytearray(CHUNK)
        self._socket.settimeout(PATIENCE)
        self._poll.register(self._socket, select.POLLIN)
        while not self._confirmed():
            pass

    def read(self, wait: float) -> list[Said]:
        if self._early:
            early, self._early = self._early, []
            return early
        assert self._socket is not None
        self._look()
        self._socket.settimeout(wait)
        self._quickly = self._reading()
        events: list[Said] = []
        try:
            for reply in self._heard():
                self._sort_in(reply, events)
        except TimeoutError:
            return []
        return events

    def _look(self) -> None:
        """Note if nothing waits on the line: all that came was read."""
        now = time.time()
        # Not at each read, and under load only until one finds it empty.
        if abs(now - self._looked_at) >= LOOK_EVERY and not self._poll.poll(0):
            self._looked_at = self.empty_at = now

    def ticket(self) -> Ticket:
        """Return a ticket that nobody waits for: pub/sub has no acknowledgements."""
        size, self._size = self._size, 0
        return Ticket(size=size)

    @property
    def full(self) -> bool:
        return False

    @property
    def missed(self) -> str:
        return ""

    def close(self, *, gently: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            # Wakes a thread that is still reading.
            _shut(self._socket)
            line.disconnect()
        let_go(self._connection)

    def _heard(self) -> Iterator[object]:
        """Wait for replies, and yield those that came at once."""
        assert self._socket is not None
        size = self._socket.recv_into(self._chunk)
        if not size:
            raise ConnectionResetError("the broker closed the connection")
        self._size += size
        gets = self._replies.gets
        for at in range(0, size, FED):
            self._replies.feed(self._chunk, at, min(FED, size - at))
            while (reply := gets()) is not False:
                yield reply

    def _confirmed(self) -> bool:
        """Whether the subscription stands; keep what came right behind it."""
        confirmed = False
        for reply in self._heard():
            if _kind(reply) in SUBSCRIBED:
                confirmed = True
            else:
                self._sort_in(reply, self._early)
        return confirmed

    def _routing_key(self, channel: bytes) -> str:
        return channel.decode("utf-8", "replace")[len(self._prefix) :].removeprefix("/")

    def _sort_in(self, reply: Any, events: list[Said]) -> None:
        if _kind(reply) in MESSAGES:
            self.messages += 1
            channel, published = reply[-2:]
            # Who taps the line hears each event as it travelled.
            body = None if self._tap else usual_body(published)
            quickly = None if body is None else self._quickly(body)
            events += self._read(channel, published) if quickly is None else quickly
        elif isinstance(reply, hiredis.ReplyError):
            raise RedisRefusal(
                "Redis refused the subscription to events"
                f" ({refusal_of(reply, '').why}); allow the user PSUBSCRIBE on the"
                " channels of the event exchange."
            )

    def _read(self, channel: bytes, published: bytes) -> list[RawEvent]:
        try:
            found = sort_out(unwrap(published, self._accept), self._poison)
            if self._tap:
                self._tap(found, self._routing_key(channel))
        except Exception as error:  # whatever a message holds, it stops no other
            self._poison(inside(published), str(error))
            return []
        return found


def prefix_of(channel: Any, exchange: str) -> str:
    """Return how the names of all channels of `exchange` begin."""
    return f"{channel.global_keyprefix}{channel.keyprefix_fanout}{exchange}"


def subscription(channel: Any, exchange: str) -> tuple[str, str]:
    """Return the Redis command that subscribes to all of `exchange`.

    `channel` is kombu's; its options decide how channels are named:
    `<global_keyprefix><fanout_prefix><exchange>[/<routing key>]`.
    """
    prefix = prefix_of(channel, exchange)
    if channel.fanout_patterns:
        return "PSUBSCRIBE", prefix.translate(_GLOB) + "/*"
    return "SUBSCRIBE", prefix


def reads_directly(connection: Connection) -> bool:
    """Whether the broker behind `connection` is a Redis that this can read."""
    transport = cast(Any, connection).transport
    if (
        transport.driver_type != "redis"
        or "cluster" in type(transport).__name__.lower()
    ):
        return False
    # While two ways of naming channels are in use, leave it to kombu.
    return not cast(Any, connection).transport_options.get("sentinel_fanout_compat")


def _kind(reply: Any) -> Any:
    # hiredis has a subclass of list for what is pushed.
    return reply[0] if isinstance(reply, list) else None  # pyright: ignore[reportUnknownVariableType]


def _shut(line: socket.socket | None) -> None:
    if line is None:
        return
    with contextlib.suppress(OSError):  # closed by the other side already
        line.shutdown(socket.SHUT_RDWR)
