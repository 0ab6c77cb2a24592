"""Events over kombu's consumer: RabbitMQ, and what else has a fanout."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.events.event import get_exchange
from kombu import Connection, Consumer, Queue

from herald_monitor.consumers import accepted, is_amqp, let_go
from herald_monitor.kept_queue import PREFETCH, KeptQueue, consume, declared, overflow
from herald_monitor.tickets import Ledger, Ticket
from herald_monitor.unread import Quick, Said
from herald_monitor.wire import (
    JSON,
    Poison,
    Tap,
    excerpt,
    quickly_read,
    read_body,
    sort_out,
)

BATCH = 1000
"""Events after which a batch is handed over though more are there."""

PASSING = 60.0
"""Seconds that an unnamed queue keeps an event that we are slow to take."""

SOON = 0.02
"""Seconds that a read waits at most while something may have been confirmed."""


class KombuConsumer:
    """A queue of our own on the event exchange.

    With `kept` on RabbitMQ the queue is durable and keeps the events while nobody
    reads; it has one reader at a time, and a message is acknowledged after its
    ticket was confirmed. Without, the queue dies with us.
    """

    def __init__(
        self,
        app: Celery,
        poison: Poison,
        connection: Connection,
        kept: KeptQueue | None = None,
        tap: Tap | None = None,
        reading: Callable[[], Quick] = lambda: quickly_read,
    ) -> None:
        self._app = app
        self.messages = 0
        self.empty_at = 0.0
        self.missed = ""
        self._poison = poison
        self._accept = accepted(app)
        self._connection: Any = connection
        self._kept = kept if is_amqp(connection) else None
        self._tap = tap
        self._reading = reading
        self._channel: Any = None
        self._events: list[Said] = []
        self._ledger = Ledger()
        self._ticketed = 0
        self._size = 0
        """Bytes that came since the last ticket."""
        self._last_tag: object = None
        self._beaten = 0.0
        self._failed: Exception | None = None

    def open(self) -> None:
        if self._kept:
            self._open_kept(self._kept)
            return
        self._channel = channel = self._connection.channel()
        queue = self._passing_queue()(channel)
        queue.declare()
        Consumer(channel, [queue], on_message=self._on_message, no_ack=True).consume()

    def _open_kept(self, kept: KeptQueue) -> None:
        queue = kept.queue(
            cast(Any, self._app.conf).event_queue_prefix, self._exchange()
        )
        self._channel, waiting = declared(self._connection, queue)
        consume(self._connection, self._channel, str(queue.name), self._on_raw)
        self.missed = overflow(kept, waiting)

    def read(self, wait: float) -> list[Said]:
        if self._failed is not None:
            # Asked again, kombu would connect anew, and hear nothing for ever.
            raise self._failed
        self._beat()
        self._acknowledge()
        try:
            self._connection.drain_events(
                timeout=min(wait, SOON) if self._ledger.messages else wait
            )
            while len(self._events) < BATCH:
                self._connection.drain_events(timeout=0)
        except TimeoutError:
            # While much is unconfirmed, RabbitMQ may hold more back.
            if self._ledger.messages < PREFETCH // 2:
                self.empty_at = time.time()
        except Exception as error:
            if not self._events:
                raise
            self._failed = error  # they are handed over first
        events, self._events = self._events, []
        return events

    def ticket(self) -> Ticket:
        size, self._size = self._size, 0
        if not self._kept:
            return Ticket(size=size)
        messages, self._ticketed = self.messages - self._ticketed, self.messages
        return self._ledger.issue(self._last_tag, messages, size)

    @property
    def full(self) -> bool:
        return self._ledger.messages >= PREFETCH

    def close(self, *, gently: bool) -> None:
        if gently:
            # Leaving takes an answer, and the line may be half open.
            leave = threading.Thread(target=self._leave, daemon=True)
            leave.start()
            leave.join(0.25)
        let_go(self._connection)

    def _leave(self) -> None:
        # An error here means that it is gone, which is what was wanted.
        with contextlib.suppress(Exception):
            self._acknowledge()
            self._connection.close()

    def _acknowledge(self) -> None:
        tag = self._ledger.settle()
        if tag is not None:
            self._channel.basic_ack(tag, multiple=True)

    def _on_raw(self, raw: object) -> None:
        self._on_message(self._channel.message_to_python(raw))

    def _on_message(self, message: Any) -> None:
        self.messages += 1
        self._last_tag = message.delivery_tag
        body, kind = message.body, message.content_type
        self._size += len(body or b"")
        if message.refusal:
            self._poison(excerpt(body, kind), message.refusal)
            return
        if not self._tap and kind == JSON and isinstance(body, bytes | str):
            quickly = self._reading()(body)
            if quickly is not None:
                self._events += quickly
                return
        try:
            found = read_body(
                body,
                kind,
                message.content_encoding,
                {},  # a compression is undone already, see bounded_messages.py
                self._accept,
            )
            events = sort_out(found, self._poison)
            if self._tap:
                self._tap(events, str(message.delivery_info.get("routing_key") or ""))
            self._events += events
        except Exception as error:  # whatever a message holds, it stops no other
            self._poison(excerpt(body, kind), str(error))

    def _beat(self) -> None:
        """Exchange AMQP heartbeats, about once a second."""
        now = time.monotonic()
        if self._connection.supports_heartbeats and now - self._beaten >= 1.0:
            self._beaten = now
            self._connection.heartbeat_check()

    def _exchange(self) -> Any:
        name = cast(Any, self._app.conf).event_exchange
        return get_exchange(self._connection, name=name)

    def _passing_queue(self) -> Any:
        conf = cast(Any, self._app.conf)
        # A fresh name each time: after a cut the old exclusive queue may
        # still be locked by a connection that RabbitMQ believes to be alive.
        name = f"herald.{socket.gethostname()}.{uuid4().hex[:12]}"
        return Queue(
            f"{conf.event_queue_prefix}.{name}",
            exchange=self._exchange(),
            routing_key="#",
            durable=False,
            exclusive=True,
            auto_delete=True,
            message_ttl=max(conf.event_queue_ttl or 0, PASSING),
            expires=conf.event_queue_expires,
        )
