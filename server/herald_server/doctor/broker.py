"""The broker and the result backend, asked whether they answer and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.backends.base import DisabledBackend
from redis.exceptions import NoPermissionError

from herald_monitor.celery_urls import without_passwords
from herald_monitor.consumers import broker_connection, broker_name, is_amqp, let_go
from herald_monitor.refusals import missing_right
from herald_server.doctor.facts import Place

NEVER = "noeviction"


def ask_broker(app: Celery) -> Place:
    """Return what `app`'s broker is. Raises whatever its library raises."""
    connection = broker_connection(app)
    try:
        if is_amqp(connection):
            told = cast(Any, connection).connection.server_properties
            software = f"{_text(told, 'product')} {_text(told, 'version')}".strip()
            return Place(broker_name(app), software)
        client = getattr(cast(Any, connection).default_channel, "client", None)
        if client is None or not hasattr(client, "info"):
            kind = cast(Any, connection).transport.driver_type
            return Place(broker_name(app), str(kind))
        return _redis(broker_name(app), client)
    finally:
        let_go(connection)


def ask_backend(app: Celery) -> Place | None:
    """Return what `app`'s result backend is; None if there is none.

    Raises whatever its library raises.
    """
    backend = cast(Any, app).backend
    if isinstance(backend, DisabledBackend):
        return None
    url = backend_name(app)
    client = getattr(backend, "client", None)
    if client is not None and hasattr(client, "info"):
        # What Herald does all the time: it must be allowed.
        client.mget([backend.get_key_for_task(f"herald-doctor-{uuid4()}")])
        return _redis(url, client)
    if type(backend).__name__ != "RPCBackend":  # whose results only callers can read
        backend.get_task_meta(f"herald-doctor-{uuid4()}")
    return Place(url, type(backend).__name__)


def backend_name(app: Celery) -> str:
    """Return the URL of the result backend without its password."""
    return without_passwords(str(cast(Any, app.conf).result_backend or ""))


def _redis(url: str, client: Any) -> Place:
    try:
        told = cast("Mapping[str, object]", client.info())
    except NoPermissionError as error:
        unseen = f"{missing_right(error)} is not allowed for this user, so its version"
        return Place(url, "Redis", unseen=f"{unseen} and maxmemory-policy are not seen")
    valkey = told.get("valkey_version")
    kind = f"Valkey {valkey}" if valkey else f"Redis {told.get('redis_version', '')}"
    policy = str(told.get("maxmemory_policy", NEVER))
    return Place(url, kind.strip(), evicts="" if policy == NEVER else policy)


def _text(told: Mapping[Any, object], key: str) -> str:
    value = told.get(key, told.get(key.encode(), ""))
    return value.decode() if isinstance(value, bytes) else str(value)
