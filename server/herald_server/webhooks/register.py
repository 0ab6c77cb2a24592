"""What the store keeps of webhooks: endpoints, how far each is, what failed.

All are notes (`herald_monitor.notes`): endpoints are written by the doors, all the
rest by the one process that delivers, except that a door moves dead letters back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec

from herald_monitor.errors import BadInput, StoreError
from herald_monitor.notes import Notes
from herald_server.webhooks.breaker import CLOSED
from herald_server.webhooks.endpoint import Endpoint
from herald_server.webhooks.message import Message

log = logging.getLogger(__name__)
T = TypeVar("T")

DAY = 86_400.0
FOR = 400 * DAY
"""Seconds for which an endpoint is kept after Herald ran last."""

LATE_FOR = 30 * DAY
DEAD_FOR = 7 * DAY
MOST_ENDPOINTS = 50
MOST_DEAD = 1_000
"""Dead letters of one endpoint; beyond that, the oldest are dropped."""

ENDPOINT, STATE, LATE, DEAD, CALL = (
    "webhook",
    "webhook-state",
    "webhook-late",
    "webhook-dead",
    "webhook-call",
)


class TooMany(BadInput):
    """There are as many endpoints as there may be."""


class State(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How one endpoint fares. Times are RFC 3339, `until` is in unix seconds.

    `waiting` messages wait to be sent, the oldest since `oldest_at`; of these
    `late` failed before and are kept in the store. `given_up`, `accepted`,
    `failed` and `resets` count since it was registered.
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


_message = msgspec.msgpack.Decoder(Message)
_state = msgspec.json.Decoder(State)
_endpoint = msgspec.json.Decoder(Endpoint)


class Register:
    """Webhooks in the store. Everything raises `StoreError`."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def endpoints(self) -> list[Endpoint]:
        """Return all endpoints that were registered, oldest first."""
        listed: list[Endpoint] = []
        for id_, text in (await self._notes.notes(ENDPOINT)).items():
            try:
                listed.append(_endpoint.decode(text))
            except msgspec.DecodeError as error:
                # Of another version of Herald: the others are told all the same.
                log.warning("the webhook %s cannot be read: %s", id_, error)
        return sorted(listed, key=lambda one: (one.created_at, one.id))

    async def endpoint(self, id_: str) -> Endpoint | None:
        """Return an endpoint, if there is one."""
        text = await self._notes.note(ENDPOINT, id_)
        return _endpoint.decode(text) if text else None

    async def put(self, endpoint: Endpoint, *, new: bool = False) -> None:
        """Keep an endpoint. Raises `TooMany`."""
        if new and len(await self._notes.notes(ENDPOINT)) >= MOST_ENDPOINTS:
            raise TooMany(
                f"there are {MOST_ENDPOINTS} webhooks, the most there may be; "
                "delete one first"
            )
        await self._notes.put_note(
            ENDPOINT, endpoint.id, msgspec.json.encode(endpoint), FOR
        )

    async def renew(self, id_: str) -> None:
        """Keep an endpoint for longer, as it is."""
        text = await self._notes.note(ENDPOINT, id_)
        if text is not None:
            await self._notes.put_note(ENDPOINT, id_, text, FOR)

    async def drop(self, id_: str) -> None:
        """Forget an endpoint."""
        await self._notes.drop_note(ENDPOINT, id_)
        await self.clean(id_)

    async def clean(self, id_: str) -> None:
        """Forget all about an endpoint but itself."""
        await self._notes.drop_note(STATE, id_)
        await self._notes.drop_note(CALL, id_)
        for kind in (_of(LATE, id_), _of(DEAD, id_)):
            for one in await self._notes.noted(kind):
                await self._notes.drop_note(kind, one)

    # -- how far it is -------------------------------------------------------------

    async def state(self, id_: str) -> State | None:
        """Return how an endpoint fares, if anything was ever said of it."""
        text = await self._notes.note(STATE, id_)
        return _state.decode(text) if text else None

    async def states(self) -> dict[str, State]:
        """Return how all endpoints fare, by id."""
        found = await self._notes.notes(STATE)
        return {id_: _state.decode(text) for id_, text in found.items()}

    async def put_state(self, id_: str, state: State) -> None:
        """Say how an endpoint fares."""
        await self._notes.put_note(STATE, id_, msgspec.json.encode(state), FOR)

    # -- what failed ----------------------------------------------------------------

    async def late(self, id_: str) -> list[Message]:
        """Return messages that failed and are tried again, in order."""
        found = await self._messages(_of(LATE, id_))
        return sorted(found, key=lambda one: one.place)

    async def put_late(self, id_: str, message: Message) -> None:
        """Keep a message, so that the cursor may pass it."""
        await self._put(_of(LATE, id_), message, LATE_FOR)

    async def drop_late(self, id_: str, message_id: str) -> None:
        """Forget a message that was accepted."""
        await self._notes.drop_note(_of(LATE, id_), message_id)

    async def dead(self, id_: str, most: int) -> list[Message]:
        """Return messages that were given up, the latest first."""
        return await self._messages(_of(DEAD, id_), most)

    async def count_dead(self, id_: str) -> int:
        """Return how many messages were given up and not sent again."""
        return len(await self._notes.noted(_of(DEAD, id_)))

    async def put_dead(self, id_: str, message: Message) -> None:
        """Give a message up, and forget the oldest if there are too many."""
        kind = _of(DEAD, id_)
        await self._put(kind, message, DEAD_FOR)
        await self.drop_late(id_, message.id)
        ids = await self._notes.noted(kind)
        for one in ids[: max(len(ids) - MOST_DEAD, 0)]:
            await self._notes.drop_note(kind, one)

    async def replay(self, id_: str, wanted: Iterable[str] | None = None) -> list[str]:
        """Have dead letters sent again, all or those `wanted`; return their ids."""
        kind, back = _of(DEAD, id_), list[str]()
        for one in dict.fromkeys(wanted or await self._notes.noted(kind)):
            text = await self._notes.note(kind, one)
            if text is not None:
                message = _message.decode(text)
                message.attempts, message.since, message.why = 0, 0.0, ""
                # First kept, then dropped: in between it is there twice, not never.
                await self.put_late(id_, message)
                await self._notes.drop_note(kind, one)
                back.append(one)
        if back:
            await self._notes.put_note(CALL, id_, uuid.uuid4().bytes, DAY)
        return back

    async def calls(self) -> dict[str, bytes]:
        """Return what is another where late messages came from elsewhere."""
        return await self._notes.notes(CALL)

    async def _put(self, kind: str, message: Message, seconds: float) -> None:
        text = msgspec.msgpack.encode(message)
        await self._notes.put_note(kind, message.id, text, seconds)

    async def _messages(self, kind: str, most: int | None = None) -> list[Message]:
        ids = (await self._notes.noted(kind))[::-1][:most]
        # One by one: all of them in one answer might be many megabytes.
        found = [await self._notes.note(kind, one) for one in ids]
        return [_message.decode(text) for text in found if text is not None]


def _of(kind: str, id_: str) -> str:
    return f"{kind}-{id_}"


async def surely(step: Callable[[], Awaitable[T]]) -> T:
    """Do something in the store, again until it is done."""
    while True:
        try:
            return await step()
        except StoreError as error:
            log.debug("webhooks wait for the store: %s", error)
            await asyncio.sleep(random.uniform(0.2, 0.6))
