"""Connections to the broker without side effects.

kombu's Redis transport restores messages of *other* consumers. Whenever a poll gets
nothing, it looks for messages delivered before its own `visibility_timeout`, which may
differ from the project's. It also leaves a member in `_kombu.binding.*` for each
declared queue. The transports here do neither; their messages are Celery's.
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

from herald_monitor.celery_client.broker.bounded_messages import bound_messages

logger = logging.getLogger(__name__)

EXIT_TIMEOUT_S = 1.0
"""Seconds that each step of the last cleaning may take."""

Broker: TypeAlias = Hashable


class BrokerConnection(Connection):
    """kombu's connection, whose transport restores nothing and leaves nothing."""

    def get_transport_cls(self) -> Any:
        """Return the transport of the URL, restricted if it emulates AMQP."""
        return make_restricted(cast(Any, super()).get_transport_cls())

    def channel(self) -> Any:
        """Return a new channel, which decompresses messages up to a limit."""
        made = cast(Any, super()).channel()
        bound_messages(made)
        return made

    def __eqhash__(self) -> Any:
        """Separate kombu's pools, which all apps of a process share.

        kombu itself compares only the first of several brokers.
        """
        others = tuple(cast(Any, self).alt)
        return HashedSeq("herald", others, cast(Any, super()).__eqhash__())

    def Pool(self, limit: int | None = None, **options: Any) -> Any:
        """Return a pool of connections like this one."""
        return _Pool(cast(Any, self), limit, **options)

    def broker(self) -> Broker:
        """Return the common value of two connections to the same broker."""
        own = cast(Any, self)
        return (tuple(own.alt) or own.hostname, own.port, own.virtual_host)


class _Pool(kombu_connection.ConnectionPool):
    """A pool whose connections are ours, whatever class kombu has for them."""

    def new(self) -> Any:
        own = cast(Any, self)
        kind = getattr(kombu_connection, "PooledConnection", None)
        if kind is None:
            return own.connection.clone()
        return _get_pooled_class(kind)(self, **_describe(own.connection))


@cache
def _get_pooled_class(kind: Any) -> Any:
    return type(kind.__name__, (kind, BrokerConnection), {})


def without_side_effects(connection: Connection) -> BrokerConnection:
    """Return `connection`, or one like it that is not connected, as one of ours."""
    if isinstance(connection, BrokerConnection):
        return connection
    return BrokerConnection(**_describe(connection))


def _describe(connection: Connection) -> dict[str, Any]:
    """Return the arguments that make a connection like this one."""
    return dict(cast(Any, connection)._info(resolve=False))


@cache
def make_restricted(transport: Any) -> Any:
    """Return a subclass of a Redis `transport` that restores nothing.

    Any other transport is returned as it is.
    """
    channel = getattr(transport, "Channel", None)
    if channel is None or not issubclass(channel, kombu_redis.Channel):
        return _without_restores(transport)
    of_channel = cast(Any, channel).QoS
    qos = type(of_channel.__name__, (_NoRestore, of_channel), {})
    kind = type(channel.__name__, (_Restricted, channel), {"QoS": qos})
    # kombu and Celery look at a transport's name.
    return type(transport.__name__, (transport,), {"Channel": kind})


def _without_restores(transport: Any) -> Any:
    """Return a virtual transport whose channels restore nothing on close."""
    if not issubclass(transport, VirtualTransport):
        return transport
    channel: Any = cast(Any, transport).Channel
    kind = type(channel.__name__, (channel,), {"do_restore": False})
    return type(transport.__name__, (transport,), {"Channel": kind})


class _NoRestore:
    """A mixin for kombu's QoS: messages that others hold stay with them."""

    restore_at_shutdown = False

    def restore_visible(self, *_: object, **__: object) -> None:
        """Restore nothing: only the workers know the visibility timeout."""

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
        self._requested: set[str] = set()
        super().__init__(*args, **options)
        _bindings.remove_lost(cast(Any, self))

    def _queue_bind(
        self, exchange: str, routing_key: str, pattern: str, queue: str
    ) -> None:
        """Write no binding without a reader, and record the one of a query."""
        own = cast(Any, self)
        if own.typeof(exchange).type == "fanout":
            # A fanout uses pub/sub: no reader would use a binding in Redis.
            own._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))
        elif _is_reply_queue(exchange):
            self._requested.add(queue)
            binding = Binding(queue, exchange, routing_key, pattern)
            _bindings.add(binding, own.connection.client)
            member = own.sep.join([routing_key or "", pattern or "", queue or ""])
            with own.conn_or_acquire() as client:
                client.sadd(own.keyprefix_queue % (exchange,), member)
        else:
            cast(Any, super())._queue_bind(exchange, routing_key, pattern, queue)

    def maybe_refresh_binding_expiry(self) -> None:
        """Set no deadlines to tables of bindings, and sweep none away."""

    def _delete(self, queue: str, exchange: str, *args: Any, **options: Any) -> None:
        cast(Any, super())._delete(queue, exchange, *args, **options)
        self._requested.discard(queue)
        _bindings.discard(queue, exchange)

    def close(self) -> None:
        """Close; a question that was cut off is cleared away by the next channel."""
        for queue in self._requested:
            _bindings.mark_lost(queue)
        cast(Any, super()).close()

    def after_reply_message_received(self, queue: str) -> None:
        """Take the reply queue and its binding away; kombu would leave them."""
        own = cast(Any, self)
        try:
            own.queue_delete(queue)
        except Exception as error:  # the line was cut: the next one does it
            logger.debug("The reply queue %s is deleted later: %s", queue, error)
            _bindings.mark_lost(queue)
        # It is declared again for the next question.
        own.connection.client.declared_entities.clear()


def _is_reply_queue(exchange: str) -> bool:
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
        self._bound: dict[Binding, BrokerConnection] = {}
        self._lost: set[Binding] = set()

    def add(self, binding: Binding, connection: BrokerConnection) -> None:
        bounds = {
            "socket_timeout": EXIT_TIMEOUT_S,
            "socket_connect_timeout": EXIT_TIMEOUT_S,
        }
        description = _describe(connection)
        options = {**description.pop("transport_options"), **bounds}
        spare = BrokerConnection(**description, transport_options=options)
        with self._lock:
            self._bound[binding] = spare

    def discard(self, queue: str, exchange: str) -> None:
        with self._lock:
            for one in [b for b in self._bound if b[:2] == (queue, exchange)]:
                del self._bound[one]
                self._lost.discard(one)

    def mark_lost(self, queue: str) -> None:
        """Note that a line was cut before its reply queue could be deleted."""
        with self._lock:
            self._lost |= {b for b in self._bound if b.queue == queue}

    def remove_lost(self, channel: Any) -> None:
        """Remove through `channel` the members that were left at its broker."""
        if not self._lost:
            return
        here = channel.connection.client.broker()
        with self._lock:
            lost = [b for b in self._lost if self._bound[b].broker() == here]
        for binding in lost:
            channel._delete(*binding)

    def remove_all(self) -> None:
        """Remove all members at exit; those of an unreachable broker stay."""
        with self._lock:
            self._lost |= set(self._bound)
            brokers = {one.broker(): one for one in self._bound.values()}
        for connection in brokers.values():
            with contextlib.suppress(Exception), connection:
                cast(Any, connection).channel()


_bindings = _Bindings()
atexit.register(_bindings.remove_all)
