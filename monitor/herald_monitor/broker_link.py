"""Connections to the broker that change nothing there but what they were ordered to.

kombu's Redis transport puts back messages that *others* hold: whenever a poll gets
nothing, it looks for messages given out longer ago than its own `visibility_timeout`,
which need not be the project's. It also leaves a member in `_kombu.binding.*` for each
queue that is declared. The transports here do neither; what they send is Celery's.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
from collections.abc import Hashable
from functools import cache
from typing import Any, NamedTuple, TypeAlias, cast

from kombu import Connection
from kombu import connection as kombu_connection
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Transport as VirtualTransport
from kombu.utils.collections import HashedSeq

from herald_monitor.bounded_messages import bound_messages

logger = logging.getLogger(__name__)

AT_EXIT = 1.0
"""Seconds that each step of the last cleaning may take."""

Broker: TypeAlias = Hashable


class BrokerConnection(Connection):
    """kombu's connection, whose transport restores nothing and leaves nothing."""

    def get_transport_cls(self) -> Any:
        """Return the transport of the URL, restricted if it emulates AMQP."""
        return restricted(cast(Any, super()).get_transport_cls())

    def channel(self) -> Any:
        """Return a new channel, whose messages are unpacked within bounds."""
        made = cast(Any, super()).channel()
        bound_messages(made)
        return made

    def __eqhash__(self) -> Any:
        """Keep kombu's pools, which all apps of a process share, apart.

        kombu itself looks at the first of several brokers only.
        """
        others = tuple(cast(Any, self).alt)
        return HashedSeq("herald", others, cast(Any, super()).__eqhash__())

    def Pool(self, limit: int | None = None, **options: Any) -> Any:
        """Return a pool of connections like this one."""
        return _Pool(cast(Any, self), limit, **options)

    def broker(self) -> Broker:
        """Return what two connections to the same broker have in common."""
        own = cast(Any, self)
        return (tuple(own.alt) or own.hostname, own.port, own.virtual_host)


class _Pool(kombu_connection.ConnectionPool):
    """A pool whose connections are ours, whatever class kombu has for them."""

    def new(self) -> Any:
        own = cast(Any, self)
        kind = getattr(kombu_connection, "PooledConnection", None)
        if kind is None:
            return own.connection.clone()
        return _pooled(kind)(self, **_about(own.connection))


@cache
def _pooled(kind: Any) -> Any:
    return type(kind.__name__, (kind, BrokerConnection), {})


def harmless(connection: Connection) -> BrokerConnection:
    """Return `connection`, or one like it that is not connected, as one of ours."""
    if isinstance(connection, BrokerConnection):
        return connection
    return BrokerConnection(**_about(connection))


def _about(connection: Connection) -> dict[str, Any]:
    """Return the arguments that make a connection like this one."""
    return dict(cast(Any, connection)._info(resolve=False))


@cache
def restricted(transport: Any) -> Any:
    """Return a subclass of a Redis `transport` that restores nothing.

    Any other transport is returned as it is.
    """
    channel = getattr(transport, "Channel", None)
    if channel is None or not issubclass(channel, kombu_redis.Channel):
        return _without_restores(transport)
    of_channel = cast(Any, channel).QoS
    qos = type(of_channel.__name__, (_Quiet, of_channel), {})
    kind = type(channel.__name__, (_Restricted, channel), {"QoS": qos})
    # kombu and Celery look at a transport's name.
    return type(transport.__name__, (transport,), {"Channel": kind})


def _without_restores(transport: Any) -> Any:
    """Return a virtual transport whose channels put nothing back as they close."""
    if not issubclass(transport, VirtualTransport):
        return transport
    channel: Any = cast(Any, transport).Channel
    kind = type(channel.__name__, (channel,), {"do_restore": False})
    return type(transport.__name__, (transport,), {"Channel": kind})


class _Quiet:
    """A mixin for kombu's QoS: messages that others hold stay with them."""

    restore_at_shutdown = False

    def restore_visible(self, *_: object, **__: object) -> None:
        """Leave to workers what is theirs: they know its visibility timeout."""

    def restore_by_tag(self, *_: object, **__: object) -> None:
        """Put no message back."""

    def restore_unacked(self, *_: object, **__: object) -> None:
        """Put no message back: Herald takes none."""

    def restore_unacked_once(self, *_: object, **__: object) -> None:
        """Put no message back as the process ends."""


class _Restricted:
    """A mixin for kombu's Redis channel: bindings end with their question."""

    do_restore = False

    def __init__(self, *args: Any, **options: Any) -> None:
        self._asked: set[str] = set()
        super().__init__(*args, **options)
        _bindings.remove_lost(cast(Any, self))

    def _queue_bind(
        self, exchange: str, routing_key: str, pattern: str, queue: str
    ) -> None:
        """Write no binding that nobody reads, and note the one of a question."""
        own = cast(Any, self)
        if own.typeof(exchange).type == "fanout":
            # It travels by pub/sub: a binding in Redis would only lie there.
            own._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))
        elif _takes_replies(exchange):
            self._asked.add(queue)
            binding = Binding(queue, exchange, routing_key, pattern)
            _bindings.note(binding, own.connection.client)
            member = own.sep.join([routing_key or "", pattern or "", queue or ""])
            with own.conn_or_acquire() as client:
                client.sadd(own.keyprefix_queue % (exchange,), member)
        else:
            cast(Any, super())._queue_bind(exchange, routing_key, pattern, queue)

    def maybe_refresh_binding_expiry(self) -> None:
        """Set no deadlines to tables of bindings, and sweep none away."""

    def _delete(self, queue: str, exchange: str, *args: Any, **options: Any) -> None:
        cast(Any, super())._delete(queue, exchange, *args, **options)
        self._asked.discard(queue)
        _bindings.forget(queue, exchange)

    def close(self) -> None:
        """Close; a question that was cut off is cleared away by the next channel."""
        for queue in self._asked:
            _bindings.lose(queue)
        cast(Any, super()).close()

    def after_reply_message_received(self, queue: str) -> None:
        """Take the reply queue and its binding away; kombu would leave them."""
        own = cast(Any, self)
        try:
            own.queue_delete(queue)
        except Exception as error:  # the line was cut: the next one does it
            logger.debug("The reply queue %s is deleted later: %s", queue, error)
            _bindings.lose(queue)
        # It is declared again for the next question.
        own.connection.client.declared_entities.clear()


def _takes_replies(exchange: str) -> bool:
    return exchange.startswith("reply.") and exchange.endswith(".pidbox")


class Binding(NamedTuple):
    """A queue for replies, bound to its exchange."""

    queue: str
    exchange: str
    routing_key: str
    pattern: str


class _Bindings:
    """The bindings that this process has at brokers, for want of a question's end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Binding, BrokerConnection] = {}
        self._lost: set[Binding] = set()

    def note(self, binding: Binding, connection: BrokerConnection) -> None:
        bounds = {"socket_timeout": AT_EXIT, "socket_connect_timeout": AT_EXIT}
        told = _about(connection)
        options = {**told.pop("transport_options"), **bounds}
        spare = BrokerConnection(**told, transport_options=options)
        with self._lock:
            self._held[binding] = spare

    def forget(self, queue: str, exchange: str) -> None:
        with self._lock:
            for one in [b for b in self._held if b[:2] == (queue, exchange)]:
                del self._held[one]
                self._lost.discard(one)

    def lose(self, queue: str) -> None:
        """Note that a line was cut before its reply queue could be deleted."""
        with self._lock:
            self._lost |= {b for b in self._held if b.queue == queue}

    def remove_lost(self, channel: Any) -> None:
        """Remove by way of `channel` what was left at its broker."""
        if not self._lost:
            return
        here = channel.connection.client.broker()
        with self._lock:
            lost = [b for b in self._lost if self._held[b].broker() == here]
        for binding in lost:
            channel._delete(*binding)

    def remove_all(self) -> None:
        """Remove what is left, as the process ends; a broker that is away keeps it."""
        with self._lock:
            self._lost |= set(self._held)
            brokers = {one.broker(): one for one in self._held.values()}
        for connection in brokers.values():
            with contextlib.suppress(Exception), connection:
                cast(Any, connection).channel()


_bindings = _Bindings()
atexit.register(_bindings.remove_all)
