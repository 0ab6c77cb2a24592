"""Events over kombu's consumer: RabbitMQ, and what else has a fanout."""

import contextlib
import socket
import threading
import time
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.events.event import get_exchange
from kombu import Connection, Consumer, Queue

from herald_monitor.consumers import accepted, let_go
from herald_monitor.errors import BadEvent
from herald_monitor.wire import Poison, RawEvent, read_body, sort_out

BATCH = 1000
"""Events after which a batch is handed over though more are there."""

PREFETCH = 2000
"""Messages that RabbitMQ sends ahead of our acknowledgement."""

BUFFERED = 3600.0
FORGOTTEN = 86400.0
"""Seconds that a named queue keeps an event, and stays without a reader."""

PASSING = 60.0
"""Seconds that an unnamed queue keeps an event that we are slow to take."""


class KombuConsumer:
    """A queue of our own on the event exchange.

    With a `node_name` on RabbitMQ the queue is durable and keeps the events
    while nobody reads; it has one reader at a time, and every message is
    acknowledged after it was handed over. Without, the queue dies with us.
    """

    def __init__(
        self, app: Celery, poison: Poison, connection: Connection, node_name: str | None
    ) -> None:
        self._app = app
        self.messages = 0
        self._poison = poison
        self._accept = accepted(app)
        self._connection: Any = connection
        is_amqp = cast(Any, connection).transport.driver_type == "amqp"
        self._node_name = node_name if is_amqp else None
        self._channel: Any = None
        self._events: list[RawEvent] = []
        self._last_tag: object = None
        self._beaten = 0.0

    def open(self) -> None:
        self._channel = channel = self._connection.channel()
        queue = self._queue()(channel)
        queue.declare()
        if self._node_name:
            channel.basic_qos(0, PREFETCH, False)
            channel.basic_consume(
                queue.name, exclusive=True, callback=self._on_raw, no_ack=False
            )
        else:
            Consumer(
                channel, [queue], on_message=self._on_message, no_ack=True
            ).consume()

    def read(self, wait: float) -> list[RawEvent]:
        self._beat()
        try:
            self._connection.drain_events(timeout=wait)
            while len(self._events) < BATCH:
                self._connection.drain_events(timeout=0)
        except TimeoutError:
            pass
        except Exception:
            if not self._events:  # or else hand them over first
                raise
        events, self._events = self._events, []
        return events

    def taken(self) -> None:
        tag, self._last_tag = self._last_tag, None
        if tag is not None and self._node_name:
            self._channel.basic_ack(tag, multiple=True)

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
            self._connection.close()

    def _on_raw(self, raw: object) -> None:
        self._on_message(self._channel.message_to_python(raw))

    def _on_message(self, message: Any) -> None:
        self.messages += 1
        self._last_tag = message.delivery_tag
        body = message.body
        try:
            found = read_body(
                body,
                message.content_type,
                message.content_encoding,
                {},  # kombu has undone a compression already
                self._accept,
            )
        except BadEvent as error:
            self._poison(_as_bytes(body), str(error))
        else:
            self._events += sort_out(found, self._poison)

    def _beat(self) -> None:
        """Exchange AMQP heartbeats, about once a second."""
        now = time.monotonic()
        if self._connection.supports_heartbeats and now - self._beaten >= 1.0:
            self._beaten = now
            self._connection.heartbeat_check()

    def _queue(self) -> Any:
        conf = cast(Any, self._app.conf)
        exchange = get_exchange(self._connection, name=conf.event_exchange)
        named = bool(self._node_name)
        # A fresh name each time: after a cut the old exclusive queue may
        # still be locked by a connection that RabbitMQ believes to be alive.
        name = self._node_name or f"herald.{socket.gethostname()}.{uuid4().hex[:12]}"
        return Queue(
            f"{conf.event_queue_prefix}.{name}",
            exchange=exchange,
            routing_key="#",
            durable=named,
            exclusive=not named,
            auto_delete=not named,
            message_ttl=BUFFERED if named else max(conf.event_queue_ttl or 0, PASSING),
            expires=FORGOTTEN if named else conf.event_queue_expires,
        )


def _as_bytes(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(cast(Any, body))
