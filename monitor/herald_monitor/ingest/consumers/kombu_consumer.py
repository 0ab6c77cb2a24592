"""Consume events through kombu: RabbitMQ, and any transport with fanout exchanges."""

import contextlib
import socket
import threading
import time
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.events.event import get_exchange
from kombu import Connection, Consumer, Queue

from herald_monitor.celery_client.broker.connection import (
    drop_connection,
    get_accepted_content_types,
    is_amqp,
)
from herald_monitor.ingest.consumers.acks import Ack, AckTracker
from herald_monitor.ingest.consumers.durable_queue import (
    PREFETCH_COUNT,
    DurableQueue,
    consume,
    declare,
    describe_overflow,
)
from herald_monitor.ingest.consumers.envelope import (
    JSON_TYPE,
    RawEvent,
    decode_fast,
    decode_message_body,
    drop_invalid,
    sample_body,
)
from herald_monitor.ingest.consumers.event_header import FastDecoder, WireEvent

MAX_BATCH_MESSAGES = 1000
"""Events after which a batch is handed over though more are there."""

QUEUE_EXPIRES_S = 60.0
"""Seconds until an event in an unnamed queue expires."""

DRAIN_TIMEOUT_S = 0.02
"""Seconds that a read waits at most while something may have been confirmed."""


class KombuConsumer:
    """A queue of our own on the event exchange.

    With `kept` on RabbitMQ the queue is durable and stores the events while no monitor
    reads. It has one consumer at a time, and a message is acknowledged after its ack
    was confirmed. Otherwise the queue is deleted with the connection.
    """

    def __init__(
        self,
        app: Celery,
        connection: Connection,
        kept: DurableQueue | None = None,
        keep_raw: bool = False,
    ) -> None:
        self._app = app
        self.messages = 0
        self.empty_at = 0.0
        self.gap_reason = ""
        self.invalid_messages: list[tuple[bytes, str]] = []
        self.raw_messages: list[tuple[list[RawEvent], str]] = []
        self._accept = get_accepted_content_types(app)
        self._connection: Any = connection
        self._durable_queue = kept if is_amqp(connection) else None
        self._keep_raw = keep_raw
        self._decode: FastDecoder = decode_fast
        self._channel: Any = None
        self._events: list[WireEvent] = []
        self._acks = AckTracker()
        self._acked_messages = 0
        self._size = 0
        """Bytes that came since the last ticket."""
        self._last_tag: object = None
        self._heartbeat_at = 0.0
        self._failed: Exception | None = None

    def open(self) -> None:
        if self._durable_queue:
            self._open_durable(self._durable_queue)
            return
        self._channel = channel = self._connection.channel()
        queue = self._make_temporary_queue()(channel)
        queue.declare()
        Consumer(channel, [queue], on_message=self._on_message, no_ack=True).consume()

    def _open_durable(self, kept: DurableQueue) -> None:
        queue = kept.make_queue(
            cast(Any, self._app.conf).event_queue_prefix, self._make_exchange()
        )
        self._channel, waiting = declare(self._connection, queue)
        consume(self._connection, self._channel, str(queue.name), self._on_raw)
        self.gap_reason = describe_overflow(kept, waiting)

    def read(self, wait: float, decode: FastDecoder) -> list[WireEvent]:
        self._decode = decode
        if self._failed is not None:
            # Another call of kombu would reconnect, and never receive an event.
            raise self._failed
        self._send_heartbeat()
        self._acknowledge()
        try:
            self._connection.drain_events(
                timeout=min(wait, DRAIN_TIMEOUT_S) if self._acks.messages else wait
            )
            while len(self._events) + len(self.invalid_messages) < MAX_BATCH_MESSAGES:
                self._connection.drain_events(timeout=0)
        except TimeoutError:
            # While much is unconfirmed, RabbitMQ may hold more back.
            if self._acks.messages < PREFETCH_COUNT // 2:
                self.empty_at = time.time()
        except Exception as error:
            if not self._events:
                raise
            self._failed = error  # they are handed over first
        events, self._events = self._events, []
        return events

    def issue_ack(self) -> Ack:
        size, self._size = self._size, 0
        if not self._durable_queue:
            return Ack(size=size)
        messages, self._acked_messages = (
            self.messages - self._acked_messages,
            self.messages,
        )
        return self._acks.issue(self._last_tag, messages, size)

    @property
    def is_blocked(self) -> bool:
        return self._acks.messages >= PREFETCH_COUNT

    def close(self, *, gently: bool) -> None:
        if gently:
            # Leaving takes an answer, and the line may be half open.
            leave = threading.Thread(target=self._leave, daemon=True)
            leave.start()
            leave.join(0.25)
        drop_connection(self._connection)

    def _leave(self) -> None:
        # An error here means that it is deleted already, which is the goal.
        with contextlib.suppress(Exception):
            self._acknowledge()
            self._connection.close()

    def _acknowledge(self) -> None:
        tag = self._acks.pop_confirmed()
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
            self._add_invalid(sample_body(body, kind), message.refusal)
            return
        if not self._keep_raw and kind == JSON_TYPE and isinstance(body, bytes | str):
            quickly = self._decode(body)
            if quickly is not None:
                self._events += quickly
                return
        try:
            found = decode_message_body(
                body,
                kind,
                message.content_encoding,
                {},  # a compression is undone already, see bounded_messages.py
                self._accept,
            )
            events = drop_invalid(found, self._add_invalid)
            if self._keep_raw:
                key = str(message.delivery_info.get("routing_key") or "")
                self.raw_messages.append((events, key))
            self._events += events
        except Exception as error:  # whatever a message holds, it stops no other
            self._add_invalid(sample_body(body, kind), str(error))

    def _add_invalid(self, body: bytes, reason: str) -> None:
        self.invalid_messages.append((body, reason))

    def _send_heartbeat(self) -> None:
        """Exchange AMQP heartbeats, about once a second."""
        now = time.monotonic()
        if self._connection.supports_heartbeats and now - self._heartbeat_at >= 1.0:
            self._heartbeat_at = now
            self._connection.heartbeat_check()

    def _make_exchange(self) -> Any:
        name = cast(Any, self._app.conf).event_exchange
        return get_exchange(self._connection, name=name)

    def _make_temporary_queue(self) -> Any:
        conf = cast(Any, self._app.conf)
        # The name is new each time: after a disconnect, the old exclusive queue may
        # still be locked by a connection that RabbitMQ considers open.
        name = f"herald.{socket.gethostname()}.{uuid4().hex[:12]}"
        return Queue(
            f"{conf.event_queue_prefix}.{name}",
            exchange=self._make_exchange(),
            routing_key="#",
            durable=False,
            exclusive=True,
            auto_delete=True,
            message_ttl=max(conf.event_queue_ttl or 0, QUEUE_EXPIRES_S),
            expires=conf.event_queue_expires,
        )
