"""The port between the receiver and the kinds of brokers."""

import logging
from typing import Any, Protocol, cast

from celery import Celery
from kombu import Connection
from kombu.exceptions import ContentDisallowed
from kombu.serialization import prepare_accept_content
from redis.backoff import NoBackoff
from redis.retry import Retry

from herald_monitor.broker_link import harmless
from herald_monitor.celery_urls import without_passwords
from herald_monitor.errors import HeraldError
from herald_monitor.refusals import refusal_of
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Said

logger = logging.getLogger(__name__)

PATIENCE = 4.0
"""Seconds that one attempt to connect may take on one host."""


class QueueTaken(HeraldError):
    """Another monitor reads the queue that this one is to read."""


class EventConsumer(Protocol):
    """One subscription to the events of one broker, over one connection.

    Used by one thread at a time. After an error it is closed and thrown away.
    """

    messages: int
    """Messages read so far, readable or not; each holds one event or many."""

    empty_at: float
    """When nothing was left to read last, as far as the line tells, in unix seconds."""

    def open(self) -> None:
        """Connect and subscribe; return when the broker has confirmed it."""
        ...

    def read(self, wait: float) -> list[Said]:
        """Return what arrived within `wait` seconds, in order; maybe nothing.

        Raises whatever the broker's library raises when the line is cut.
        """
        ...

    def ticket(self) -> Ticket:
        """Return what stands for all that was read since the last ticket.

        A broker that can keeps it until the ticket is confirmed.
        """
        ...

    @property
    def full(self) -> bool:
        """Whether the broker sends nothing more before something is confirmed."""
        ...

    @property
    def missed(self) -> str:
        """Why events of before `open` may be missing though the broker keeps them."""
        ...

    def close(self, *, gently: bool) -> None:
        """Let go of the connection, in a few tenths of a second at most.

        `gently` takes leave of the broker; otherwise the socket is dropped.
        """
        ...


def broker_connection(
    app: Celery, *, heartbeat: float = 10.0, **options: object
) -> Connection:
    """Open one new connection to the app's broker: one try on each host.

    kombu itself would pause for 2 s and more between tries, for ever.
    `heartbeat` is AMQP's, in seconds; `options` are added to the app's
    `broker_transport_options`.
    """
    connection = harmless(
        cast(Any, app).connection_for_read(
            connect_timeout=PATIENCE,
            heartbeat=heartbeat,
            transport_options=_bounded(app, options),
        )
    )
    tries = max(len(cast(Any, connection).alt) - 1, 0)
    try:
        cast(Any, connection).ensure_connection(
            max_retries=tries, interval_start=0, interval_step=0, interval_max=0
        )
    except BaseException:
        let_go(connection)
        raise
    return connection


def let_go(connection: Connection) -> None:
    """Drop a connection without a word to the broker, and without an error."""
    try:
        if cast(Any, connection).transport.driver_type == "amqp":
            cast(Any, connection).collect()
        else:
            # kombu's `collect` would change the timeout of every new socket
            # in the process for a moment; these transports close at once.
            cast(Any, connection).release()
    except Exception as error:  # the library's own state after a cut
        logger.debug("Could not let go of a connection: %s", error)


def is_amqp(connection: Connection) -> bool:
    """Whether the broker speaks AMQP, and so can keep events."""
    return bool(cast(Any, connection).transport.driver_type == "amqp")


def broker_name(app: Celery) -> str:
    """Name the app's broker for a log, without its password."""
    url = cast(Any, app.conf).broker_read_url
    if not url:  # Celery's own default
        return str(cast(Any, app).connection_for_read().as_uri())
    return without_passwords(url if isinstance(url, str) else ";".join(url))


def broker_refusal(app: Celery, error: BaseException, silence: str = "") -> str:
    """Return why the broker did not do what it was asked, as a sentence."""
    if isinstance(error, ContentDisallowed):
        return (
            f"what workers answer over the broker at {broker_name(app)} is not accepted"
            f" ({error}); give -A, or name their serializer: HERALD_CELERY_SETTINGS="
            '\'accept_content=["json", "yaml"];event_serializer=yaml\''
        )
    cause = refusal_of(error, "HERALD_BROKER_URL", silence)
    return cause.sentence(f"the broker at {broker_name(app)}", "cannot be reached")


def accepted(app: Celery) -> set[str]:
    """Name the content types that events may have, as Celery's receiver does."""
    names = {str(cast(Any, app.conf).event_serializer), "json"}
    return set(cast(Any, prepare_accept_content)(names))


def _bounded(app: Celery, options: dict[str, object]) -> dict[str, object]:
    """Bound each wait on Redis, unless the app's own settings do."""
    bounds: dict[str, object] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
    }
    theirs = cast(dict[str, object], cast(Any, app.conf).broker_transport_options)
    if str(cast(Any, app.conf).broker_url).startswith("sentinel:"):
        # redis-py would try a sentinel that is down for seconds before the next one.
        given = cast(dict[str, object], theirs.get("sentinel_kwargs") or {})
        once = {**bounds, "retry": Retry(NoBackoff(), 0), **given}
        theirs = {**theirs, "sentinel_kwargs": once}
    return {**bounds, **theirs, **options}
