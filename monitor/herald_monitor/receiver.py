"""The broker's event stream as batches, over every cut and restart."""

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from celery import Celery

from herald_monitor.attention import read_until
from herald_monitor.broadcaster import PROBE, Broadcaster
from herald_monitor.consumers import (
    EventConsumer,
    QueueTaken,
    broker_connection,
    broker_name,
    is_amqp,
)
from herald_monitor.kept_queue import HEARTBEAT, KeptQueue
from herald_monitor.kombu_consumer import KombuConsumer
from herald_monitor.opening import Opening
from herald_monitor.project_options import project_options
from herald_monitor.redis_consumer import RedisConsumer, reads_directly
from herald_monitor.refusals import brief_refusal
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Quick, Said, briefly_read
from herald_monitor.wire import Poison, RawEvent, Tap, quickly_read

logger = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[list[Said], float, Ticket], None]
LostTouch: TypeAlias = Callable[[float, float, str], None]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 0.5
"""Seconds. Workers flush what they kept the moment they reconnect; whoever
subscribes later than they has missed it, so waiting longer loses events."""

STANDBY = 1.0
"""Seconds between tries to take over from another monitor."""

STEADY = 1.0
"""Seconds after which a connection counts as one that works."""

TICK = 0.2
"""Seconds that a read waits at most before we look whether to stop."""

MOST_GREETED = 10_000
"""Names of workers that are remembered as greeted: whoever may publish invents more."""

ONLINE = "worker-online"
TOLD_APART = frozenset({ONLINE, "worker-heartbeat", PROBE})


class BrokerSilent(ConnectionError):
    """Nothing came through the broker, not even our own probes."""


class GreetedWorkers:
    """The names that were heard on a connection; of more than `most` none is known."""

    def __init__(self, most: int = MOST_GREETED) -> None:
        self._most = most
        self._names: set[str] = set()

    def add(self, name: str) -> bool:
        """Remember `name`; return True if it was not known.

        Too many are all forgotten: to be greeted once more does no harm.
        """
        if name in self._names:
            return False
        if len(self._names) >= self._most:
            self._names.clear()
        self._names.add(name)
        return True

    def clear(self) -> None:
        """Forget all: the connection is new."""
        self._names.clear()

    def __len__(self) -> int:
        return len(self._names)


class Receiver:
    """The reader of one broker's events.

    `deliver(batch, heard, ticket)` gets the decoded events in the order in which
    they arrived and the unix time of their arrival; `lost_touch(since, until,
    reason)` is told after each reconnect, before what is heard next;
    `poison(body, reason)` gets what cannot be read, and `tap(events, routing_key)`
    each message that can. All are called on the thread of `run` and must return
    quickly: while they work, nobody reads. While `briefly` says so, of usual events
    only that is read which says whose they are.

    With a queue that is `kept`, RabbitMQ keeps the events while nobody reads it,
    and each batch until its ticket is confirmed. Workers are asked to send task
    events, and for a heartbeat.
    """

    def __init__(
        self,
        app: Celery,
        *,
        deliver: Deliver,
        lost_touch: LostTouch,
        poison: Poison,
        probe_every: float = 5.0,
        kept: KeptQueue | None = None,
        tap: Tap | None = None,
        briefly: Callable[[], bool] = lambda: False,
    ) -> None:
        self.events = 0
        self.messages = 0
        self.poison = 0
        self.reconnects = 0
        self.last_event_at: float | None = None
        self.connected = False
        self.connected_since = 0.0  # since when events are heard, in unix seconds
        self.keeps = False
        self._consumer: EventConsumer | None = None
        self._probed_until: float | None = None  # send time of the newest one heard
        self._app = app
        self._deliver = deliver
        self._lost_touch = lost_touch
        self._on_poison = poison
        self._probe_every = probe_every
        self._kept = kept
        self._tap = tap
        self._briefly = briefly
        self._stopping = threading.Event()
        self._broadcaster = Broadcaster(
            app, f"herald@{socket.gethostname()}", probe_every
        )
        self._options = project_options(app)
        self._workers = GreetedWorkers()
        self._good_at: float | None = None  # last word on the stream, unix time
        self._heard_at = 0.0  # the same on the monotonic clock
        self._open_since = 0.0
        self._tries = 0
        self._trouble = ""  # why the stream is cut
        self._said = ""  # the same, as logged: once, not once a try
        self._warned = False

    def run(self) -> None:
        """Hear events until `stop`; return within a second after it."""
        self._broadcaster.start()
        try:
            while not self._stopping.is_set():
                self._hear_once()
        finally:
            self.connected = False
            self._broadcaster.stop()

    def read_until(self, now: float) -> float:
        """Return the time before which all that was said is read (unix seconds).

        That is `now` unless more came than was read at once. By our own clock: when
        nothing was left on the line, and when the probes were sent that came back.
        While there is no connection it is `now` as well: `problem` tells of that.
        """
        consumer = self._consumer
        if not self.connected or consumer is None:
            return now
        return read_until(
            now,
            empty_at=max(consumer.empty_at, self.connected_since),
            probed_until=self._probed_until,
            under_way=self._broadcaster.oldest_under_way(),
        )

    @property
    def problem(self) -> str:
        """Why events are not heard, as a sentence; empty while they are."""
        if self.connected or not self._trouble:
            return ""
        return f"events are not heard from {broker_name(self._app)}: {self._trouble}"

    def stop(self) -> None:
        """Make `run` return; callable from any thread, before `run` as well."""
        self._stopping.set()

    def _hear_once(self) -> None:
        """Go through the life of one connection, and pause after its end."""
        opening = Opening(self._connect)
        try:
            consumer = opening.wait(self._stopping)
            if consumer is None:
                return
            try:
                self._settle_in(consumer)
                self._follow(consumer)
            finally:
                self.connected = False
                self._consumer = None
                self._broadcaster.pause()
                consumer.close(gently=self._stopping.is_set())
        except QueueTaken as error:
            self._stand_by(error)
        except Exception as error:  # any library's error, and any stay away
            self._note(error)
        self._stopping.wait(self._pause())

    def _connect(self) -> EventConsumer:
        if self._kept:
            connection = broker_connection(self._app, heartbeat=HEARTBEAT)
        else:
            connection = broker_connection(self._app)
        self.keeps = bool(self._kept) and is_amqp(connection)
        about = (self._app, self._set_aside, connection)
        if reads_directly(connection):
            return RedisConsumer(*about, self._tap, self._reading)
        return KombuConsumer(*about, self._kept, self._tap, self._reading)

    def _reading(self) -> Quick:
        return briefly_read if self._briefly() else quickly_read

    def _settle_in(self, consumer: EventConsumer) -> None:
        """Announce the gap, if there was one, and wake the workers up."""
        now = time.time()
        if self._good_at is not None:
            self.reconnects += 1
            why = self._trouble or "the stream was cut"
            self._call("lost_touch", self._lost_touch, self._good_at, now, why)
        if consumer.missed and self._kept:
            since = now - self._kept.ttl
            self._call("lost_touch", self._lost_touch, since, now, consumer.missed)
        self._say_what_is_kept()
        if self._said:
            logger.info("Hearing events from %s again.", broker_name(self._app))
        self._trouble = ""
        self._good_at, self._heard_at = now, time.monotonic()
        self._open_since = self._heard_at
        self._workers.clear()
        self._consumer, self._probed_until = consumer, None
        self.connected, self.connected_since = True, now
        self._broadcaster.begin()

    def _follow(self, consumer: EventConsumer) -> None:
        wait = min(TICK, self._probe_every / 2)
        before = self.messages
        options = self._options.generation
        while not self._stopping.is_set():
            self._options.raise_if_newer_than(options)
            events = consumer.read(wait)
            if before + consumer.messages > self.messages:
                self.messages = before + consumer.messages
                self._hand_over(events, consumer.ticket())
            elif consumer.full:
                # Nothing comes because nothing is stored, not because it is cut.
                self._heard_at = time.monotonic()
            else:
                self._check_silence()

    def _hand_over(self, events: list[Said], ticket: Ticket) -> None:
        heard = time.time()
        self._good_at, self._heard_at = heard, time.monotonic()
        if self._heard_at - self._open_since > STEADY:
            self._tries, self._said = 0, ""
        batch = self._tell_apart(events)
        if not batch:
            ticket.confirm()
            return
        self.events += len(batch)
        self.last_event_at = heard
        if not self._call("deliver", self._deliver, batch, heard, ticket):
            ticket.confirm()  # it would fail again, for ever
            reason = f"{len(batch)} events could not be handed over"
            self._call("lost_touch", self._lost_touch, heard, time.time(), reason)

    def _tell_apart(self, events: list[Said]) -> list[Said]:
        """Leave out probes, whoever sent them, and greet new workers."""
        # What was decoded the short way is of a task.
        found = [e for e in events if isinstance(e, dict) and e["type"] in TOLD_APART]
        if not found:
            return events
        probes = 0
        for event in found:
            if event["type"] == PROBE:
                probes += 1
                sent = event.get("timestamp")
                if isinstance(sent, float) and self._broadcaster.came_back(sent):
                    self._probed_until = sent
            else:
                self._greet(event)
        return [e for e in events if not _is_probe(e)] if probes else events

    def _greet(self, event: RawEvent) -> None:
        name = str(event.get("hostname"))
        if self._workers.add(name) or event["type"] == ONLINE:
            self._broadcaster.ask_for_events()

    def _check_silence(self) -> None:
        """Raise when two probes in a row must have come back and did not.

        Any message counts as a sign of life: a stream that is late is not
        dead, and to cut it would lose what is on its way.
        """
        silent = time.monotonic() - self._heard_at
        if silent > 2.5 * self._probe_every:
            raise BrokerSilent(f"nothing came through the broker for {silent:.1f} s")

    def _note(self, error: Exception) -> None:
        if self._trouble:
            return
        self._trouble = brief_refusal(error, "HERALD_BROKER_URL")
        fresh = self._trouble != self._said
        self._said = self._trouble
        logger.log(
            logging.WARNING if fresh else logging.DEBUG,
            "Cannot hear events from %s (%s); trying again until it works.",
            broker_name(self._app),
            self._trouble,
        )

    def _stand_by(self, error: QueueTaken) -> None:
        """Let another monitor read, and what it hears be no gap of ours."""
        self._good_at = None
        self._tries = 0
        if self._said != str(error):
            self._said = str(error)
            logger.info("%s.", self._said)
        self._stopping.wait(STANDBY)

    def _say_what_is_kept(self) -> None:
        if self._kept and not self.keeps and not self._warned:
            self._warned = True
            logger.warning(
                "The broker %s cannot keep events for a monitor that is away, so"
                " HERALD_DURABLE_EVENTS changes nothing there; after each gap Herald"
                " asks the result backend and the workers instead.",
                broker_name(self._app),
            )

    def _pause(self) -> float:
        longest = min(FIRST_PAUSE * 2.0**self._tries, LONGEST_PAUSE)
        self._tries = min(self._tries + 1, 10)
        return longest * random.uniform(0.5, 1.0)

    def _set_aside(self, body: bytes, reason: str) -> None:
        self.poison += 1
        self._call("poison", self._on_poison, body, reason)

    def _call(self, name: str, told: Callable[..., None], *said: object) -> bool:
        """Call `told`; its mistakes must not stop the reading."""
        try:
            told(*said)
        except Exception:
            logger.exception("%s() raised; events go on being read.", name)
            return False
        return True


def _is_probe(event: Said) -> bool:
    return isinstance(event, dict) and event["type"] == PROBE
