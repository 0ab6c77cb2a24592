"""Webhooks in the store: endpoints, their state, and failed messages.

All lie in the key-value store. Routes write endpoints; the process that delivers writes
all else, except that a route moves dead letters back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec

from herald_core.errors import InvalidInput, StoreError
from herald_core.store.key_value import KeyValueStore
from herald_server.webhooks.circuit_breaker import CLOSED
from herald_server.webhooks.endpoint import WebhookEndpoint
from herald_server.webhooks.message import WebhookMessage

log = logging.getLogger(__name__)
T = TypeVar("T")

DAY_S = 86_400.0
ENDPOINT_TTL_S = 400 * DAY_S
"""Seconds for which an endpoint is stored after Herald last ran."""

DEFERRED_TTL_S = 30 * DAY_S
DEAD_TTL_S = 7 * DAY_S
MAX_ENDPOINTS = 50
MAX_DEAD = 1_000
"""Dead letters of one endpoint; beyond it, the oldest are dropped."""

ENDPOINT, STATE, DEFERRED, DEAD, CALL = (
    "webhook",
    "webhook-state",
    "webhook-late",
    "webhook-dead",
    "webhook-call",
)


class TooManyEndpoints(InvalidInput):
    """The limit of endpoints is reached."""


class EndpointState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """State of one endpoint. Times are RFC 3339, `until` is in unix seconds.

    `waiting` messages are pending, the oldest since `oldest_at`; of these `late` failed
    before and are stored. `given_up`, `accepted`, `failed` and `resets` count since it
    was registered.
    """

    cursor: str = "0-0"
    accepted: int = 0
    failed: int = 0
    given_up: int = 0
    resets: int = 0
    waiting: int = 0
    late: int = 0
    oldest_at: str | None = None
    last_success_at: str | None = None
    last_failure_at: str | None = None
    last_error: str | None = None
    breaker: str = CLOSED
    until: float = 0.0
    disabled_at: float = 0.0
    disabled_why: str | None = None


_message = msgspec.msgpack.Decoder(WebhookMessage)
_state = msgspec.json.Decoder(EndpointState)
_endpoint = msgspec.json.Decoder(WebhookEndpoint)


class WebhookRepository:
    """Webhooks in the store. All methods raise `StoreError`."""

    def __init__(self, store: KeyValueStore) -> None:
        self._items = store

    async def read_endpoints(self) -> list[WebhookEndpoint]:
        """Return all registered endpoints, oldest first."""
        endpoints: list[WebhookEndpoint] = []
        for id_, text in (await self._items.get_items(ENDPOINT)).items():
            try:
                endpoints.append(_endpoint.decode(text))
            except msgspec.DecodeError as error:
                # Written by another version of Herald: the others are returned.
                log.warning("the webhook %s cannot be read: %s", id_, error)
        return sorted(endpoints, key=lambda one: (one.created_at, one.id))

    async def read_endpoint(self, id_: str) -> WebhookEndpoint | None:
        """Return an endpoint; None if there is none."""
        text = await self._items.get_item(ENDPOINT, id_)
        return _endpoint.decode(text) if text else None

    async def put(self, endpoint: WebhookEndpoint, *, new: bool = False) -> None:
        """Store an endpoint. Raises `TooManyEndpoints`."""
        if new and len(await self._items.get_items(ENDPOINT)) >= MAX_ENDPOINTS:
            raise TooManyEndpoints(
                f"there are {MAX_ENDPOINTS} webhooks, the most there may be; "
                "delete one first"
            )
        await self._items.put_item(
            ENDPOINT, endpoint.id, msgspec.json.encode(endpoint), ENDPOINT_TTL_S
        )

    async def renew(self, id_: str) -> None:
        """Extend the retention of an endpoint."""
        text = await self._items.get_item(ENDPOINT, id_)
        if text is not None:
            await self._items.put_item(ENDPOINT, id_, text, ENDPOINT_TTL_S)

    async def delete(self, id_: str) -> None:
        """Delete an endpoint."""
        await self._items.delete_item(ENDPOINT, id_)
        await self.delete_all_about(id_)

    async def delete_all_about(self, id_: str) -> None:
        """Delete all data of an endpoint except itself."""
        await self._items.delete_item(STATE, id_)
        await self._items.delete_item(CALL, id_)
        for kind in (_make_kind(DEFERRED, id_), _make_kind(DEAD, id_)):
            for one in await self._items.list_items(kind):
                await self._items.delete_item(kind, one)

    # -- position ------------------------------------------------------------------

    async def read_state(self, id_: str) -> EndpointState | None:
        """Return the state of an endpoint; None if there is none."""
        text = await self._items.get_item(STATE, id_)
        return _state.decode(text) if text else None

    async def read_states(self) -> dict[str, EndpointState]:
        """Return the states of all endpoints, by id."""
        states = await self._items.get_items(STATE)
        return {id_: _state.decode(text) for id_, text in states.items()}

    async def put_state(self, id_: str, state: EndpointState) -> None:
        """Store the state of an endpoint."""
        await self._items.put_item(
            STATE, id_, msgspec.json.encode(state), ENDPOINT_TTL_S
        )

    async def begin_state(self, id_: str, state: EndpointState) -> None:
        """Store the first state of an endpoint, unless it has one."""
        text = msgspec.json.encode(state)
        await self._items.put_item(STATE, id_, text, ENDPOINT_TTL_S, new=True)

    # -- failed messages ------------------------------------------------------------

    async def read_deferred(self, id_: str) -> list[WebhookMessage]:
        """Return failed messages that are retried, in order."""
        messages = await self._read_messages(_make_kind(DEFERRED, id_))
        return sorted(messages, key=lambda one: one.place)

    async def put_deferred(self, id_: str, message: WebhookMessage) -> None:
        """Store a message, so that the cursor may pass it."""
        await self._put(_make_kind(DEFERRED, id_), message, DEFERRED_TTL_S)

    async def delete_deferred(self, id_: str, message_id: str) -> None:
        """Delete a message that was accepted."""
        await self._items.delete_item(_make_kind(DEFERRED, id_), message_id)

    async def read_dead(self, id_: str, limit: int) -> list[WebhookMessage]:
        """Return messages that were given up, the latest first."""
        return await self._read_messages(_make_kind(DEAD, id_), limit)

    async def count_dead(self, id_: str) -> int:
        """Return the number of dead letters."""
        return len(await self._items.list_items(_make_kind(DEAD, id_)))

    async def put_dead(self, id_: str, message: WebhookMessage) -> None:
        """Store a message as a dead letter; delete the oldest beyond the limit."""
        kind = _make_kind(DEAD, id_)
        await self._put(kind, message, DEAD_TTL_S)
        await self.delete_deferred(id_, message.id)
        ids = await self._items.list_items(kind)
        for one in ids[: max(len(ids) - MAX_DEAD, 0)]:
            await self._items.delete_item(kind, one)

    async def replay(self, id_: str, wanted: Iterable[str] | None = None) -> list[str]:
        """Move dead letters back, all or those `wanted`; return their ids."""
        kind, back = _make_kind(DEAD, id_), list[str]()
        for one in dict.fromkeys(wanted or await self._items.list_items(kind)):
            text = await self._items.get_item(kind, one)
            if text is not None:
                message = _message.decode(text)
                message.attempts, message.since, message.why = 0, 0.0, ""
                # First stored, then removed: after a crash between, it is there twice,
                # not lost.
                await self.put_deferred(id_, message)
                await self._items.delete_item(kind, one)
                back.append(one)
        if back:
            await self._items.put_item(CALL, id_, uuid.uuid4().bytes, DAY_S)
        return back

    async def read_calls(self) -> dict[str, bytes]:
        """Return a value per endpoint that changes when messages were replayed."""
        return await self._items.get_items(CALL)

    async def _put(self, kind: str, message: WebhookMessage, seconds: float) -> None:
        text = msgspec.msgpack.encode(message)
        await self._items.put_item(kind, message.id, text, seconds)

    async def _read_messages(
        self, kind: str, limit: int | None = None
    ) -> list[WebhookMessage]:
        ids = (await self._items.list_items(kind))[::-1][:limit]
        # One by one: all of them in one response might be many megabytes.
        stored = [await self._items.get_item(kind, one) for one in ids]
        return [_message.decode(text) for text in stored if text is not None]


def _make_kind(kind: str, id_: str) -> str:
    return f"{kind}-{id_}"


async def retry_forever(step: Callable[[], Awaitable[T]]) -> T:
    """Retry a step in the store until it succeeds."""
    while True:
        try:
            return await step()
        except StoreError as error:
            log.debug("webhooks wait for the store: %s", error)
            await asyncio.sleep(random.uniform(0.2, 0.6))
