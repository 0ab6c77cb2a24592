"""The broker's event stream as batches, over every cut and restart."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from celery import Celery

from herald_core.system.backoff import Backoff
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    is_amqp,
)
from herald_monitor.celery_client.broker.control_broadcaster import ControlBroadcaster
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.ingest.connection_log import ConnectionLog
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.broker_support import describe_limitations
from herald_monitor.ingest.consumers.connecting import AbandonableConnect
from herald_monitor.ingest.consumers.consumer import EventConsumer, QueueInUse
from herald_monitor.ingest.consumers.durable_queue import HEARTBEAT_S, DurableQueue
from herald_monitor.ingest.consumers.envelope import (
    OnInvalid,
    OnMessage,
    decode_fast,
)
from herald_monitor.ingest.consumers.event_header import WireEvent, decode_headers
from herald_monitor.ingest.consumers.kombu_consumer import KombuConsumer
from herald_monitor.ingest.consumers.redis_consumer import RedisConsumer
from herald_monitor.ingest.listening_time import get_read_until
from herald_monitor.ingest.probe_filter import ProbeFilter
from herald_monitor.ingest.stream_silence import (
    PROBE_INTERVAL_S,
    RECONNECT_AFTER_PROBES,
    StreamSilence,
)

logger = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[list[WireEvent], float, Ack], None]
OnGap: TypeAlias = Callable[[float, float, str], None]

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 0.5
"""Seconds. Workers flush their buffered events the moment they reconnect. A monitor
that subscribes later has missed them, so waiting longer loses events."""

STANDBY_INTERVAL_S = 1.0
"""Seconds between tries to take over from another monitor."""

STEADY_AFTER_S = 1.0
"""Seconds after which a connection counts as one that works."""

READ_TIMEOUT_S = 0.5
"""Maximum seconds of a read before the next check for a stop."""


class BrokerTimeout(ConnectionError):
    """Nothing came through the broker, not even our own probes."""


class Receiver:
    """The reader of one broker's events.

    `deliver(batch, heard, ticket)` gets the decoded events in their order of arrival,
    and its unix time. `lost_touch(since, until, reason)` is called after each
    reconnect, before the next events. `poison(body, reason)` gets invalid messages, and
    `tap(events, routing_key)` each valid one. All are called on the thread of `run` and
    must return quickly: they block reading. With `headers_only` only the headers of
    usual events are decoded.

    With a `kept` queue, RabbitMQ stores the events while no monitor reads, and each
    batch until its ack is confirmed. Workers are asked to send task events, and for a
    heartbeat.
    """

    def __init__(
        self,
        app: Celery,
        *,
        deliver: Deliver,
        lost_touch: OnGap,
        poison: OnInvalid,
        probe_every: float = PROBE_INTERVAL_S,
        kept: DurableQueue | None = None,
        tap: OnMessage | None = None,
    ) -> None:
        self.events = 0
        self.messages = 0
        self.rejected = 0
        self.reconnects = 0
        self.last_event_at: float | None = None
        self.connected = False
        self.connected_since = 0.0  # start of receiving events, in unix seconds
        self.is_durable = False
        self.headers_only = False
        self._consumer: EventConsumer | None = None
        self._app = app
        self._deliver = deliver
        self._on_gap = lost_touch
        self._on_invalid = poison
        self._probe_every = probe_every
        self._silence = StreamSilence(probe_every)
        self._durable_queue = kept
        self._on_message = tap
        self._stopping = threading.Event()
        self._broadcaster = ControlBroadcaster(
            app, f"herald@{socket.gethostname()}", probe_every
        )
        self._options = get_project_options(app)
        self._probes = ProbeFilter(self._broadcaster)
        self._log = ConnectionLog(app)
        self._good_at: float | None = None  # last message on the stream, unix time
        self._received_at = 0.0  # the same on the monotonic clock
        self._open_since = 0.0
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)

    def run(self) -> None:
        """Receive events until `stop`; return within a second after it."""
        if not has_fanout(self._app):
            # A queue of our own would be made there, and nothing ever come to it.
            self._log.trouble = describe_limitations(self._app)
            return
        self._broadcaster.start()
        try:
            while not self._stopping.is_set():
                self._run_connection()
        finally:
            self.connected = False
            self._broadcaster.stop()

    def get_read_until(self, now: float) -> float:
        """Return the time before which all published events are read (unix seconds).

        That is `now` unless more events arrived than one read takes. It uses our own
        clock: the time when the connection had no more data, and the send times of
        returned probes. Without a connection it is `now` as well: `problem` reports
        that.
        """
        consumer = self._consumer
        if not self.connected or consumer is None:
            return now
        return get_read_until(
            now,
            empty_at=max(consumer.empty_at, self.connected_since),
            probed_until=self._probes.probed_until,
            under_way=self._broadcaster.get_oldest_probe(),
        )

    @property
    def silent_since(self) -> float | None:
        """The time of the last message (unix seconds), if a probe is overdue since.

        None without a connection: `problem` reports that.
        """
        silent = self.connected and self._silence.is_long_since(self._received_at)
        return self._good_at if silent else None

    @property
    def problem(self) -> str:
        """The reason why no events arrive, as a sentence; empty if they do."""
        return "" if self.connected else self._log.describe_problem()

    def stop(self) -> None:
        """Make `run` return; callable from any thread, before `run` as well."""
        self._stopping.set()

    def _run_connection(self) -> None:
        """Go through the life of one connection, and pause after its end."""
        opening = AbandonableConnect(self._connect)
        try:
            consumer = opening.wait_connected(self._stopping)
            if consumer is None:
                return
            try:
                self._start_listening(consumer)
                self._read_loop(consumer)
            finally:
                self.connected = False
                self._consumer = None
                self._broadcaster.pause()
                consumer.close(gently=self._stopping.is_set())
        except QueueInUse as error:
            self._wait_for_queue(error)
        except Exception as error:  # any library's error, and any stay away
            self._log.record_error(error)
        self._stopping.wait(self._backoff.next_pause())

    def _connect(self) -> EventConsumer:
        if self._durable_queue:
            connection = connect_broker(self._app, heartbeat=HEARTBEAT_S)
        else:
            connection = connect_broker(self._app)
        self.is_durable = bool(self._durable_queue) and is_amqp(connection)
        about, keep_raw = (self._app, connection), self._on_message is not None
        if can_read_directly(connection):
            return RedisConsumer(*about, keep_raw)
        return KombuConsumer(*about, self._durable_queue, keep_raw)

    def _start_listening(self, consumer: EventConsumer) -> None:
        """Announce the gap, if there was one, and wake the workers up."""
        now = time.time()
        if self._good_at is not None:
            self.reconnects += 1
            why = self._log.trouble or "the stream was cut"
            self._call_safely("lost_touch", self._on_gap, self._good_at, now, why)
        if consumer.gap_reason and self._durable_queue:
            since = now - self._durable_queue.ttl
            self._call_safely(
                "lost_touch", self._on_gap, since, now, consumer.gap_reason
            )
        if self._durable_queue and not self.is_durable:
            self._log.warn_not_durable()
        self._log.record_connect()
        self._good_at, self._received_at = now, time.monotonic()
        self._open_since = self._received_at
        self._probes.reset()
        self._consumer = consumer
        self.connected, self.connected_since = True, now
        self._broadcaster.resume()

    def _read_loop(self, consumer: EventConsumer) -> None:
        wait = min(READ_TIMEOUT_S, self._probe_every / 2)
        before = self.messages
        options = self._options.generation
        while not self._stopping.is_set():
            if self._options.generation != options:
                self._options.raise_if_newer_than(options)
            decode = decode_headers if self.headers_only else decode_fast
            events = consumer.read(wait, decode)
            if consumer.invalid_messages or consumer.raw_messages:
                self._take_messages(consumer)
            if before + consumer.messages > self.messages:
                self.messages = before + consumer.messages
                self._deliver_events(events, consumer.issue_ack())
            elif consumer.is_blocked:
                # Nothing comes because nothing is stored, not because it is cut.
                self._received_at = time.monotonic()
            else:
                self._check_silence()

    def _deliver_events(self, events: list[WireEvent], ticket: Ack) -> None:
        heard = time.time()
        self._good_at, self._received_at = heard, time.monotonic()
        if self._received_at - self._open_since > STEADY_AFTER_S:
            self._backoff.reset()
            self._log.record_steady()
        batch = self._probes.filter(events)
        if not batch:
            ticket.confirm()
            return
        self.events += len(batch)
        self.last_event_at = heard
        if not self._call_safely("deliver", self._deliver, batch, heard, ticket):
            ticket.confirm()  # it would fail again, for ever
            reason = f"{len(batch)} events could not be handed over"
            self._call_safely("lost_touch", self._on_gap, heard, time.time(), reason)

    def _check_silence(self) -> None:
        """Raise an error if several probes should have come back and did not.

        Any message counts as a sign of life. A late stream still works, and a
        disconnect would lose the messages on their way.
        """
        now = time.monotonic()
        self._silence.record_empty_read(self._received_at, now)
        silent = now - self._received_at
        if silent > RECONNECT_AFTER_PROBES * self._probe_every:
            raise BrokerTimeout(f"nothing came through the broker for {silent:.1f} s")

    def _wait_for_queue(self, error: QueueInUse) -> None:
        """Wait while another monitor reads the queue; its events are no gap of ours."""
        self._good_at = None
        self._backoff.reset()
        self._log.record_wait(str(error))
        self._stopping.wait(STANDBY_INTERVAL_S)

    def _take_messages(self, consumer: EventConsumer) -> None:
        """Pass on invalid messages, and messages for a recording."""
        for body, reason in consumer.invalid_messages:
            self.rejected += 1
            self._call_safely("poison", self._on_invalid, body, reason)
        for events, routing_key in consumer.raw_messages:
            assert self._on_message is not None, "raw messages are kept for it alone"
            self._call_safely("tap", self._on_message, events, routing_key)
        consumer.invalid_messages.clear()
        consumer.raw_messages.clear()

    def _call_safely(self, name: str, told: Callable[..., None], *said: object) -> bool:
        """Call `told`; its errors must not stop the reading."""
        try:
            told(*said)
        except Exception:
            logger.exception("%s() raised; events go on being read.", name)
            return False
        return True
