"""What workers of a project tell of its options: keys at the broker, and answers.

Reads only: binding tables of a Redis broker, the names of results, and `conf`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import redis
from celery import Celery
from celery.backends.redis import RedisBackend
from kombu import Connection

from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.model.layout import BINDING, CONTROL, MASKED
from herald_monitor.questions import Questions

logger = logging.getLogger(__name__)

WITHIN = 1.0
"""Seconds for which workers are listened to."""

SCAN_COUNT = 1_000
MOST_SCANS = 200
"""Steps of a search: 200,000 keys."""

RESULTS = "celery-task-meta-"

TRANSPORT = frozenset(
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
"""What is taken over of a worker's `broker_transport_options`."""

PREFIXED = "results are prefixed"
"""Whether results have a key prefix, whose text Celery masks."""

MOST_TABLES = 500
_GLOB = str.maketrans({c: f"\\{c}" for c in "*?[]\\"})

SETTINGS = frozenset(
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

# -- what the broker holds ----------------------------------------------------------


def find_tables(
    connection: Connection, app: Celery, *, search: bool
) -> dict[str, list[str]] | None:
    """Return binding tables by key; None if they are not to be searched now.

    Usually there is that of the app's own control exchange; only if it is not there,
    the keys are searched. A member without UTF-8 is left out.
    """
    channel = cast(Any, connection).channel()
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    exchange = f"{cast(Any, app.conf).control_exchange}{CONTROL}"
    own = f"{channel.global_keyprefix}{BINDING}{exchange}"
    try:
        members = client.smembers(own)
        if members:
            return {own: _texts(members)}
        if not search:
            return None
        keys = sorted(_search(client, f"*{BINDING}*"))[:MOST_TABLES]
        return {key: _texts(client.smembers(key)) for key in keys}
    except redis.ResponseError as error:
        # Who may not read them knows no more than the URL tells.
        logger.debug("binding tables cannot be read: %s", error)
        return {}


def find_bound_queues(connection: Connection) -> set[str]:
    """Return the queues that anybody ever declared at a Redis broker.

    A queue that no worker consumes any more, and no task names, is known only there.
    Without the right to look it is none.
    """
    channel = cast(Any, connection).channel()
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    start = f"{channel.global_keyprefix}{BINDING}"
    try:
        keys = _search(client, f"{start.translate(_GLOB)}*")
        tables = [key for key in keys if not key.endswith(CONTROL)][:MOST_TABLES]
        members = [one for key in tables for one in _texts(client.smembers(key))]
    except redis.ResponseError as error:
        logger.debug("binding tables cannot be read: %s", error)
        return set()
    queues = {member.rpartition(channel.sep)[2] for member in members}
    return {one for one in queues if one and not one.endswith(CONTROL)}


def find_result_prefixes(app: Celery) -> set[str]:
    """Return the prefixes of the results in `app`'s Redis backend; none elsewhere."""
    backend = cast(Any, app).backend
    if not isinstance(backend, RedisBackend):
        return set()
    keys = _search(cast(Any, backend).client, f"*{RESULTS}*")
    return {key.partition(RESULTS)[0] for key in keys}


def _search(client: Any, pattern: str) -> set[str]:
    found: set[str] = set()
    cursor = 0
    for _ in range(MOST_SCANS):
        cursor, keys = client.scan(cursor, match=pattern, count=SCAN_COUNT)
        found.update(_texts(keys))
        if int(cursor) == 0:
            break
    return found


def _texts(told: Any) -> list[str]:
    found: list[str] = []
    for one in told:
        try:
            found.append(one.decode() if isinstance(one, bytes) else str(one))
        except UnicodeDecodeError:
            continue
    return sorted(found)


# -- what a worker says ------------------------------------------------------------


def ask_settings(app: Celery, hosts: tuple[str, ...]) -> dict[str, object]:
    """Return the settings of one of `hosts` that answers; none if nobody does.

    Without `hosts` all workers are asked, which takes `WITHIN` seconds.
    """
    connection = broker_connection(app)
    try:
        questions = Questions(app, connection, WITHIN)
        answers = questions.ask("conf", hosts, {"with_defaults": True})
    finally:
        let_go(connection)
    listed = [one for told in answers.by_host.values() for one in told]
    for one in listed:
        if isinstance(one, Mapping):
            return read_settings(cast("Mapping[str, object]", one))
    return {}


def read_settings(told: Mapping[str, object]) -> dict[str, object]:
    """Return what is taken over of a worker's settings."""
    found = {name: told[name] for name in SETTINGS if _is_plain(told.get(name))}
    transport = told.get("broker_transport_options")
    if isinstance(transport, Mapping):
        options = cast("Mapping[str, object]", transport)
        found["broker_transport_options"] = {
            name: options[name]
            for name in TRANSPORT & options.keys()
            if options[name] != MASKED
        }
    results = told.get("result_backend_transport_options")
    if isinstance(results, Mapping):
        options = cast("Mapping[str, object]", results)
        found[PREFIXED] = bool(options.get("global_keyprefix"))
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | bool) and value != MASKED
