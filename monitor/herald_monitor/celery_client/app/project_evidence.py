"""Sources of a project's options: keys at the broker, and answers of workers.

Read-only: binding tables of a Redis broker, the names of results, and `conf`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import redis
from celery import Celery
from celery.backends.redis import RedisBackend
from kombu import Connection

from herald_core.model.workers.queue_layout import (
    BINDING_PREFIX,
    CONTROL_SUFFIX,
    MASKED_VALUE,
)
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.celery_client.workers.broadcast_query import BroadcastQuery

logger = logging.getLogger(__name__)

INSPECT_TIMEOUT_S = 1.0
"""Seconds for which workers are listened to."""

SCAN_COUNT = 1_000
MAX_SCANS = 200
"""Steps of a search: 200,000 keys."""

RESULT_KEY_PREFIX = "celery-task-meta-"

TRANSPORT_OPTIONS = frozenset(
    [
        "fanout_patterns",
        "fanout_prefix",
        "global_keyprefix",
        "priority_steps",
        "queue_order_strategy",
        "sep",
        "visibility_timeout",
    ]
)
"""The options that are applied from a worker's `broker_transport_options`."""

PREFIXED_MESSAGE = "results are prefixed"
"""True if results have a key prefix, whose text Celery masks."""

MAX_TABLES = 500
_GLOB_ESCAPES = str.maketrans({c: f"\\{c}" for c in "*?[]\\"})

SETTING_NAMES = frozenset(
    [
        "event_exchange",
        "event_queue_prefix",
        "event_serializer",
        "result_serializer",
        "task_default_exchange",
        "task_default_exchange_type",
        "task_default_queue",
        "task_default_queue_type",
        "task_default_routing_key",
        "task_queue_max_priority",
        "task_serializer",
    ]
)
"""Settings of a worker that are taken over."""

# -- keys of the broker --------------------------------------------------------------


def find_tables(
    connection: Connection, app: Celery, *, search: bool
) -> dict[str, list[str]] | None:
    """Return binding tables by key; None if they are not to be searched now.

    Usually there is that of the app's own control exchange; only if it is not there,
    the keys are searched. A member without UTF-8 is left out.
    """
    channel = cast(Any, connection).channel()
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    exchange = f"{cast(Any, app.conf).control_exchange}{CONTROL_SUFFIX}"
    own = f"{channel.global_keyprefix}{BINDING_PREFIX}{exchange}"
    try:
        members = client.smembers(own)
        if members:
            return {own: _decode_texts(members)}
        if not search:
            return None
        keys = sorted(_search(client, f"*{BINDING_PREFIX}*"))[:MAX_TABLES]
        return {key: _decode_texts(client.smembers(key)) for key in keys}
    except redis.ResponseError as error:
        # A user without the right to read them has only the options of the URL.
        logger.debug("binding tables cannot be read: %s", error)
        return {}


def find_bound_queues(connection: Connection) -> set[str]:
    """Return the queues that any worker or client ever declared at a Redis broker.

    A queue without consumer and without known tasks is found only there. The list is
    empty without the permission to read it.
    """
    channel = cast(Any, connection).channel()
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    start = f"{channel.global_keyprefix}{BINDING_PREFIX}"
    try:
        keys = _search(client, f"{start.translate(_GLOB_ESCAPES)}*")
        tables = [key for key in keys if not key.endswith(CONTROL_SUFFIX)][:MAX_TABLES]
        members = [one for key in tables for one in _decode_texts(client.smembers(key))]
    except redis.ResponseError as error:
        logger.debug("binding tables cannot be read: %s", error)
        return set()
    queues = {member.rpartition(channel.sep)[2] for member in members}
    return {one for one in queues if one and not one.endswith(CONTROL_SUFFIX)}


def find_result_prefixes(app: Celery) -> set[str]:
    """Return the prefixes of the results in `app`'s Redis backend; none elsewhere."""
    backend = cast(Any, app).backend
    if not isinstance(backend, RedisBackend):
        return set()
    keys = _search(cast(Any, backend).client, f"*{RESULT_KEY_PREFIX}*")
    return {key.partition(RESULT_KEY_PREFIX)[0] for key in keys}


def _search(client: Any, pattern: str) -> set[str]:
    found: set[str] = set()
    cursor = 0
    for _ in range(MAX_SCANS):
        cursor, keys = client.scan(cursor, match=pattern, count=SCAN_COUNT)
        found.update(_decode_texts(keys))
        if int(cursor) == 0:
            break
    return found


def _decode_texts(reply: Any) -> list[str]:
    found: list[str] = []
    for one in reply:
        try:
            found.append(one.decode() if isinstance(one, bytes) else str(one))
        except UnicodeDecodeError:
            continue
    return sorted(found)


# -- settings of a worker ------------------------------------------------------------


def request_settings(app: Celery, hosts: tuple[str, ...]) -> dict[str, object]:
    """Return the settings of one of `hosts` that answers; none without an answer.

    Without `hosts` all workers are asked, which takes `INSPECT_TIMEOUT_S` seconds.
    """
    if not has_fanout(app):
        return {}
    connection = connect_broker(app)
    try:
        questions = BroadcastQuery(app, connection, INSPECT_TIMEOUT_S)
        answers = questions.send("conf", hosts, {"with_defaults": True})
    finally:
        drop_connection(connection)
    listed = [
        one for answers_of_host in answers.by_host.values() for one in answers_of_host
    ]
    for one in listed:
        if isinstance(one, Mapping):
            return read_settings(cast("Mapping[str, object]", one))
    return {}


def read_settings(configuration: Mapping[str, object]) -> dict[str, object]:
    """Return the options to apply from a worker's settings."""
    found = {
        name: configuration[name]
        for name in SETTING_NAMES
        if _is_plain(configuration.get(name))
    }
    transport = configuration.get("broker_transport_options")
    if isinstance(transport, Mapping):
        options = cast("Mapping[str, object]", transport)
        found["broker_transport_options"] = {
            name: options[name]
            for name in TRANSPORT_OPTIONS & options.keys()
            if options[name] != MASKED_VALUE
        }
    results = configuration.get("result_backend_transport_options")
    if isinstance(results, Mapping):
        options = cast("Mapping[str, object]", results)
        found[PREFIXED_MESSAGE] = bool(options.get("global_keyprefix"))
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | bool) and value != MASKED_VALUE
