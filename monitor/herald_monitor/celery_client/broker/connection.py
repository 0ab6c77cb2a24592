"""Connections to the broker of a Celery app, each bounded in time."""

from __future__ import annotations

import logging
from typing import Any, cast

from celery import Celery
from kombu import Connection
from kombu.exceptions import ContentDisallowed
from kombu.serialization import prepare_accept_content
from redis.backoff import NoBackoff
from redis.retry import Retry

from herald_core.errors import UnsupportedByBroker
from herald_core.system.error_sentences import find_cause
from herald_monitor.celery_client.broker.passive import without_side_effects
from herald_monitor.celery_client.broker.transport import (
    describe_missing_control,
    get_transport_kind,
)
from herald_monitor.celery_client.broker.urls import mask_passwords

logger = logging.getLogger(__name__)

BROKER_TIMEOUT_S = 4.0
"""Seconds that one attempt to connect may take on one host."""

SQS_BOUNDS = {
    "connect_timeout": BROKER_TIMEOUT_S,
    "read_timeout": BROKER_TIMEOUT_S,
    "retries": {"total_max_attempts": 1},
}

CONTROL_ALTERNATIVES = "cancel and inspect need RabbitMQ or Redis as the broker"


def connect_broker(
    app: Celery, *, heartbeat: float = 10.0, **options: object
) -> Connection:
    """Open one new connection to the app's broker: one try on each host.

    kombu itself would pause for 2 s and more between tries, for ever.
    `heartbeat` is AMQP's, in seconds; `options` are added to the app's
    `broker_transport_options`.
    """
    connection = without_side_effects(
        cast(Any, app).connection_for_read(
            connect_timeout=BROKER_TIMEOUT_S,
            heartbeat=heartbeat,
            transport_options=_bound_waits(app, options),
        )
    )
    tries = max(len(cast(Any, connection).alt) - 1, 0)
    try:
        cast(Any, connection).ensure_connection(
            max_retries=tries, interval_start=0, interval_step=0, interval_max=0
        )
    except BaseException:
        drop_connection(connection)
        raise
    return connection


def require_control(app: Celery) -> None:
    """Raise `UnsupportedByBroker` if no command can reach the workers of `app`."""
    if missing := describe_missing_control(app):
        raise UnsupportedByBroker(f"{missing}; {CONTROL_ALTERNATIVES}")


def drop_connection(connection: Connection) -> None:
    """Drop a connection without a message to the broker, and without an error."""
    try:
        if cast(Any, connection).transport.driver_type == "amqp":
            cast(Any, connection).collect()
        else:
            # kombu's `collect` would change the timeout of every new socket
            # in the process for a moment; these transports close at once.
            cast(Any, connection).release()
    except Exception as error:  # the library's own state after a cut
        logger.debug("Could not close a connection: %s", error)


def is_amqp(connection: Connection) -> bool:
    """Return True if the broker uses AMQP, and so can store events."""
    return bool(cast(Any, connection).transport.driver_type == "amqp")


def get_broker_name(app: Celery) -> str:
    """Name the app's broker for a log, without its password."""
    url = cast(Any, app.conf).broker_read_url
    if not url:  # Celery's own default
        return str(cast(Any, app).connection_for_read().as_uri())
    return mask_passwords(url if isinstance(url, str) else ";".join(url))


def describe_broker_error(app: Celery, error: BaseException, silence: str = "") -> str:
    """Return the cause of a broker error, as a sentence."""
    if isinstance(error, ContentDisallowed):
        return (
            f"an answer of a worker over the broker at {get_broker_name(app)} is not"
            f" accepted ({error}); give -A, or name their serializer:"
            " HERALD_CELERY_SETTINGS="
            '\'accept_content=["json", "yaml"];event_serializer=yaml\''
        )
    cause = find_cause(error, "HERALD_BROKER_URL", silence)
    return cause.format(f"the broker at {get_broker_name(app)}", "cannot be reached")


def get_accepted_content_types(app: Celery) -> set[str]:
    """Name the content types that events may have, as Celery's receiver does."""
    names = {str(cast(Any, app.conf).event_serializer), "json"}
    return set(cast(Any, prepare_accept_content)(names))


def _bound_waits(app: Celery, options: dict[str, object]) -> dict[str, object]:
    """Bound each wait on Redis or SQS, unless the app's own settings do."""
    bounds: dict[str, object] = {
        "socket_timeout": BROKER_TIMEOUT_S,
        "socket_connect_timeout": BROKER_TIMEOUT_S,
    }
    theirs = cast(dict[str, object], cast(Any, app.conf).broker_transport_options)
    if get_transport_kind(app) == "sqla":
        # They go to SQLAlchemy, which refuses what it does not know.
        return {**theirs, **options}
    if get_transport_kind(app) == "sqs":
        # The settings of botocore, whose own waits are minutes.
        given = cast(dict[str, object], theirs.get("client-config") or {})
        theirs = {**theirs, "client-config": {**SQS_BOUNDS, **given}}
    if str(cast(Any, app.conf).broker_url).startswith("sentinel:"):
        # redis-py would try a sentinel that is down for seconds before the next one.
        given = cast(dict[str, object], theirs.get("sentinel_kwargs") or {})
        once = {**bounds, "retry": Retry(NoBackoff(), 0), **given}
        theirs = {**theirs, "sentinel_kwargs": once}
    return {**bounds, **theirs, **options}


def can_read_directly(connection: Connection) -> bool:
    """Return True if the broker behind `connection` is a Redis that this can read."""
    transport = cast(Any, connection).transport
    if (
        transport.driver_type != "redis"
        or "cluster" in type(transport).__name__.lower()
    ):
        return False
    # While two ways of naming channels are in use, leave it to kombu.
    return not cast(Any, connection).transport_options.get("sentinel_fanout_compat")
