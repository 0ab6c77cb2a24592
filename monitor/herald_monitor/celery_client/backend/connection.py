"""Celery's connection options of a Redis result backend, for our own connections."""

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

from herald_core.errors import HeraldError, InvalidEvent
from herald_core.system.error_sentences import find_cause
from herald_core.system.gc_tuning import release_frames
from herald_core.system.large_json import LargeJson
from herald_monitor.celery_client.backend.task_meta import OversizedValue
from herald_monitor.celery_client.broker.urls import mask_passwords

logger = logging.getLogger(__name__)

BACKEND_TIMEOUT_S = 4.0
"""Seconds for a connection, and for an answer."""

LARGE_PAYLOAD_BYTES = 100_000
"""Bytes of a meta above which only its small parts are looked into."""

SMALL_PART_BYTES = 20_000
"""Bytes of such a part."""

MAX_PAYLOAD_BYTES = 8_000_000
"""Bytes of a large meta that is no plain JSON, above which it is set aside."""

COMMON_OPTIONS = (
    "host",
    "port",
    "path",
    "db",
    "username",
    "password",
    "credential_provider",
)
"""Options of redis-py's connections that Celery decides, besides `ssl_*`."""


class BackendUnreachable(HeraldError):
    """The result backend does not answer."""


def get_result_backend(app: Celery) -> Any:
    """Return the app's result backend for this thread. Raises `BackendUnreachable`.

    Connects to nothing, but may want a library that is not installed.
    """
    try:
        return cast(Any, app).backend
    except Exception as error:
        name = mask_passwords(str(cast(Any, app).conf.result_backend))
        raise BackendUnreachable(
            f"the result backend {name} cannot be used ({error}); install what it"
            " needs where Herald runs, or fix its URL"
        ) from error


def get_backend_name(backend: Any) -> str:
    """Name a result backend without its password."""
    return str(backend.as_uri()) if backend.url else type(backend).__name__


def to_backend_error(backend: Any, error: BaseException) -> BackendUnreachable:
    """Return `error` as a sentence about `backend`."""
    cause = find_cause(error, "HERALD_RESULT_BACKEND", "no answer in time")
    return BackendUnreachable(
        cause.format(f"the result backend at {get_backend_name(backend)}")
    )


async def make_redis_client(
    backend: Any, patience: float = BACKEND_TIMEOUT_S
) -> aio.Redis:
    """Return a client for a Redis `backend`; it connects with its first command."""
    kind, options = await get_connection_options(backend, patience)
    pool = ConnectionPool(connection_class=kind, max_connections=4, **options)
    client = aio.Redis.from_pool(pool)
    # Replies as they travelled.
    cast(Any, client).response_callbacks.clear()
    return client


async def get_connection_options(
    backend: Any, patience: float = BACKEND_TIMEOUT_S
) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """Return the class and the options of a connection to a Redis `backend`.

    With Sentinels this looks up the primary. Raises redis-py's errors.
    """
    given = cast(Mapping[str, Any], backend.connparams)
    options: dict[str, Any] = {
        key: value
        for key, value in given.items()
        if (key in COMMON_OPTIONS or key.startswith("ssl_")) and value is not None
    }
    options |= {
        "protocol": 2,
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
    }
    kind = _to_asyncio_class(given.get("connection_class"))
    if "hosts" in given:
        options["host"], options["port"] = await _find_primary(backend, given, patience)
    return kind, options


def _to_asyncio_class(theirs: Any) -> type[AbstractConnection]:
    if theirs is not None and issubclass(theirs, SSLConnection):
        return aio.SSLConnection
    if theirs is not None and issubclass(theirs, UnixDomainSocketConnection):
        return aio.UnixDomainSocketConnection
    return aio.Connection


async def _find_primary(
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


class MetaDecoder:
    """Stored metas, as bytes, read as the app's backend reads them.

    Large values in those of more than `large` bytes are `OversizedValue`; in others
    they are `LargeJson` if `in_pieces`.
    """

    def __init__(
        self, backend: Any, large: int = LARGE_PAYLOAD_BYTES, *, in_pieces: bool = False
    ) -> None:
        self._backend = backend
        self._large = large
        self._in_pieces = in_pieces
        self._json = backend.content_type == "application/json"
        self._plain = msgspec.json.Decoder().decode
        self._parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def decode(self, payload: bytes) -> Mapping[str, object]:
        """Return the meta; large values in it as `OversizedValue`.

        Raises `InvalidEvent`.
        """
        if self._json:
            try:
                return self._decode_fast(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                # Python's JSON is wider, and it may be compressed.
                pass
        if len(payload) > max(MAX_PAYLOAD_BYTES, self._large):
            raise InvalidEvent(
                f"A result of {len(payload)} bytes is no plain JSON, too large to be"
                " looked into; let tasks store large results elsewhere."
            )
        return self._decode_fully(payload)

    def _decode_fast(self, payload: bytes) -> Mapping[str, object]:
        if len(payload) > self._large:
            parts = self._parts(payload)
            return {key: self._decode_part(value) for key, value in parts.items()}
        if b'"__type__"' in payload:
            # kombu's JSON writes dates, UUIDs and the like so.
            return self._decode_fully(payload)
        if self._in_pieces and len(payload) > SMALL_PART_BYTES:
            parts = self._parts(payload)
            return {key: self._decode_piece(value) for key, value in parts.items()}
        return _require_mapping(self._plain(payload))

    def _decode_piece(self, raw: msgspec.Raw) -> object:
        view = memoryview(raw)
        if len(view) <= SMALL_PART_BYTES or view[0] == ord('"'):
            return self._plain(raw)
        return LargeJson(raw)

    def _decode_part(self, raw: msgspec.Raw) -> object:
        size = len(memoryview(raw))
        return self._plain(raw) if size <= SMALL_PART_BYTES else OversizedValue(size)

    def _decode_fully(self, payload: bytes) -> Mapping[str, object]:
        try:
            # Not `decode_result`, which would build the exceptions themselves.
            return _require_mapping(self._backend.decode(payload))
        except InvalidEvent:
            raise
        except Exception as error:
            release_frames(error)
            raise InvalidEvent(
                f"A result cannot be read ({type(error).__name__}: {error}); give"
                " Herald the project's settings with -A if its serializer is another."
            ) from error


def _require_mapping(meta: object) -> Mapping[str, object]:
    if not isinstance(meta, Mapping):
        raise InvalidEvent(f"A result must be an object, not a {type(meta).__name__}.")
    return cast(Mapping[str, object], meta)
