"""Check that the broker and the result backend answer, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.backends.base import DisabledBackend
from redis.exceptions import NoPermissionError

from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    get_broker_name,
    is_amqp,
)
from herald_monitor.celery_client.broker.urls import mask_passwords
from herald_server.cli.doctor.report import Endpoint

NO_EVICTION = "noeviction"


def ask_broker(app: Celery) -> Endpoint:
    """Return the endpoint of `app`'s broker. Raises the errors of its library."""
    connection = connect_broker(app)
    try:
        if is_amqp(connection):
            told = cast(Any, connection).connection.server_properties
            software = (
                f"{_get_text(told, 'product')} {_get_text(told, 'version')}".strip()
            )
            return Endpoint(get_broker_name(app), software)
        client = getattr(cast(Any, connection).default_channel, "client", None)
        if client is None or not hasattr(client, "info"):
            kind = cast(Any, connection).transport.driver_type
            return Endpoint(get_broker_name(app), str(kind))
        return _inspect_redis(get_broker_name(app), client)
    finally:
        drop_connection(connection)


def ask_backend(app: Celery) -> Endpoint | None:
    """Return the endpoint of `app`'s result backend; None if there is none.

    Raises the errors of its library.
    """
    backend = cast(Any, app).backend
    if isinstance(backend, DisabledBackend):
        return None
    url = mask_backend_url(app)
    client = getattr(backend, "client", None)
    if client is not None and hasattr(client, "info"):
        # Herald does this regularly, so it must be allowed.
        client.mget([backend.get_key_for_task(f"herald-doctor-{uuid4()}")])
        return _inspect_redis(url, client)
    if type(backend).__name__ != "RPCBackend":  # whose results only callers can read
        backend.get_task_meta(f"herald-doctor-{uuid4()}")
    return Endpoint(url, type(backend).__name__)


def mask_backend_url(app: Celery) -> str:
    """Return the URL of the result backend without its password."""
    return mask_passwords(str(cast(Any, app.conf).result_backend or ""))


def _inspect_redis(url: str, client: Any) -> Endpoint:
    try:
        told = cast("Mapping[str, object]", client.info())
    except NoPermissionError:
        return describe_redis(url, None)
    return describe_redis(url, told)


def describe_redis(url: str, told: Mapping[str, object] | None) -> Endpoint:
    """Return the endpoint of a Redis by what INFO tells; None: that is not allowed."""
    if told is None:
        unseen = "INFO is not allowed for this user, so its version"
        return Endpoint(
            url, "Redis", unseen=f"{unseen} and maxmemory-policy are not seen"
        )
    valkey = told.get("valkey_version")
    kind = f"Valkey {valkey}" if valkey else f"Redis {told.get('redis_version', '')}"
    policy = str(told.get("maxmemory_policy", NO_EVICTION))
    return Endpoint(url, kind.strip(), evicts="" if policy == NO_EVICTION else policy)


def _get_text(told: Mapping[Any, object], key: str) -> str:
    value = told.get(key, told.get(key.encode(), ""))
    return value.decode() if isinstance(value, bytes) else str(value)
