"""How Celery reaches its Redis result backend, for connections of our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import redis.asyncio as aio
from celery import Celery
from redis import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import Sentinel

from herald_monitor.celery_urls import without_passwords
from herald_monitor.errors import BadEvent, HeraldError
from herald_monitor.large_json import LargeJson
from herald_monitor.meta import Unread
from herald_monitor.rare_collection import release_frames
from herald_monitor.refusals import refusal_of

logger = logging.getLogger(__name__)

PATIENCE = 4.0
"""Seconds for a connection, and for an answer."""

LARGE = 100_000
"""Bytes of a meta above which only its small parts are looked into."""

SMALL = 20_000
"""Bytes of such a part."""

HOPELESS = 8_000_000
"""Bytes of a large meta that is no plain JSON, above which it is set aside."""

COMMON = ("host", "port", "path", "db", "username", "password", "credential_provider")
"""Options of redis-py's connections that are Celery's to say, besides `ssl_*`."""


class BackendUnreachable(HeraldError):
    """The result backend does not answer."""


def backend_of(app: Celery) -> Any:
    """Return the app's result backend for this thread. Raises `BackendUnreachable`.

    Connects to nothing, but may want a library that is not installed.
    """
    try:
        return cast(Any, app).backend
    except Exception as error:
        name = without_passwords(str(cast(Any, app).conf.result_backend))
        raise BackendUnreachable(
            f"the result backend {name} cannot be used ({error}); install what it"
            " needs where Herald runs, or mend its URL"
        ) from error


def backend_name(backend: Any) -> str:
    """Name a result backend without its password."""
    return str(backend.as_uri()) if backend.url else type(backend).__name__


def refusal(backend: Any, error: BaseException) -> BackendUnreachable:
    """Return `error` as a sentence about `backend`."""
    cause = refusal_of(error, "HERALD_RESULT_BACKEND", "no answer in time")
    return BackendUnreachable(
        cause.sentence(f"the result backend at {backend_name(backend)}")
    )


async def redis_client(backend: Any, patience: float = PATIENCE) -> aio.Redis:
    """Return a client for a Redis `backend`; it connects with its first command."""
    kind, options = await connection_options(backend, patience)
    pool = ConnectionPool(connection_class=kind, max_connections=4, **options)
    client = aio.Redis.from_pool(pool)
    # Replies as they travelled.
    cast(Any, client).response_callbacks.clear()
    return client


async def connection_options(
    backend: Any, patience: float = PATIENCE
) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """Return the class and the options of a connection to a Redis `backend`.

    Behind Sentinels this asks for the primary. Raises redis-py's errors.
    """
    given = cast(Mapping[str, Any], backend.connparams)
    options: dict[str, Any] = {
        key: value
        for key, value in given.items()
        if (key in COMMON or key.startswith("ssl_")) and value is not None
    }
    options |= {
        "protocol": 2,
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
    }
    kind = _kind(given.get("connection_class"))
    if "hosts" in given:
        options["host"], options["port"] = await _primary(backend, given, patience)
    return kind, options


def _kind(theirs: Any) -> type[AbstractConnection]:
    if theirs is not None and issubclass(theirs, SSLConnection):
        return aio.SSLConnection
    if theirs is not None and issubclass(theirs, UnixDomainSocketConnection):
        return aio.UnixDomainSocketConnection
    return aio.Connection


async def _primary(
    backend: Any, given: Mapping[str, Any], patience: float
) -> tuple[str, int]:
    options = cast(Mapping[str, Any], backend._transport_options)
    places = [(host["host"], host["port"]) for host in given["hosts"]]
    bounds = {"socket_timeout": patience, "socket_connect_timeout": patience}
    sentinel = cast(Any, Sentinel)(
        places, sentinel_kwargs={**bounds, **options.get("sentinel_kwargs", {})}
    )
    try:
        host, port = await sentinel.discover_master(str(options.get("master_name")))
        return str(host), int(port)
    finally:
        for one in sentinel.sentinels:
            await one.aclose()


class Payloads:
    """Stored metas, as bytes, read as the app's backend reads them.

    Large values in those of more than `large` bytes are `Unread`; in others they are
    `LargeJson` if `in_pieces`.
    """

    def __init__(
        self, backend: Any, large: int = LARGE, *, in_pieces: bool = False
    ) -> None:
        self._backend = backend
        self._large = large
        self._in_pieces = in_pieces
        self._json = backend.content_type == "application/json"
        self._plain = msgspec.json.Decoder().decode
        self._parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def read(self, payload: bytes) -> Mapping[str, object]:
        """Return the meta; large values in it as `Unread`. Raises `BadEvent`."""
        if self._json:
            try:
                return self._quickly(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                # Python's JSON is wider, and it may be compressed.
                pass
        if len(payload) > max(HOPELESS, self._large):
            raise BadEvent(
                f"A result of {len(payload)} bytes is no plain JSON, too large to be"
                " looked into; let tasks store large results elsewhere."
            )
        return self._slowly(payload)

    def _quickly(self, payload: bytes) -> Mapping[str, object]:
        if len(payload) > self._large:
            parts = self._parts(payload)
            return {key: self._part(value) for key, value in parts.items()}
        if b'"__type__"' in payload:
            # kombu's JSON writes dates, UUIDs and the like so.
            return self._slowly(payload)
        if self._in_pieces and len(payload) > SMALL:
            parts = self._parts(payload)
            return {key: self._piece(value) for key, value in parts.items()}
        return _mapping(self._plain(payload))

    def _piece(self, raw: msgspec.Raw) -> object:
        view = memoryview(raw)
        if len(view) <= SMALL or view[0] == ord('"'):
            return self._plain(raw)
        return LargeJson(raw)

    def _part(self, raw: msgspec.Raw) -> object:
        size = len(memoryview(raw))
        return self._plain(raw) if size <= SMALL else Unread(size)

    def _slowly(self, payload: bytes) -> Mapping[str, object]:
        try:
            # Not `decode_result`, which would build the exceptions themselves.
            return _mapping(self._backend.decode(payload))
        except BadEvent:
            raise
        except Exception as error:
            release_frames(error)
            raise BadEvent(
                f"A result cannot be read ({type(error).__name__}: {error}); give"
                " Herald the project's settings with -A if its serializer is another."
            ) from error


def _mapping(meta: object) -> Mapping[str, object]:
    if not isinstance(meta, Mapping):
        raise BadEvent(f"A result must be an object, not a {type(meta).__name__}.")
    return cast(Mapping[str, object], meta)
