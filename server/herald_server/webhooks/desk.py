"""Where endpoints are registered, looked at and deleted: behind every door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.shape import rfc3339, to_dict
from herald_monitor.model.vector import parse_any_cursor
from herald_monitor.store import Store
from herald_server.audit import Audit
from herald_server.webhooks.address import Guard, Refused, Unresolved
from herald_server.webhooks.endpoint import (
    TOML,
    Endpoint,
    host_and_port,
    parse_endpoint,
)
from herald_server.webhooks.message import Message
from herald_server.webhooks.register import Register, State

KEEP_SECRET = 86_400.0
MOST_KEPT = 30 * 86_400.0
"""Seconds for which a secret that was replaced goes on signing."""


class NoWebhook(HeraldError):
    """Nothing is registered under an id."""


class Desk:
    """Endpoints of the store, and those of this process' herald.toml.

    `store` is the whole one: endpoints are for tokens that see everything.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        standing: Sequence[Endpoint] = (),
        audit: Audit | None = None,
    ) -> None:
        self._store = store
        self.guard = guard
        self.standing = {one.id: one for one in standing}
        self._register = Register(store)
        self._audit = audit or Audit(store)
        self.changed = asyncio.Event()
        """Set when something was, for who delivers in this process."""

    async def register(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Register an endpoint, and return it with its secret.

        Raises `BadInput`, also for a name that leads to no address or a refused one.
        """
        endpoint = parse_endpoint(given, rfc3339(time.time()))
        try:
            await self.guard.addresses(*host_and_port(endpoint.url))
        except (Refused, Unresolved) as error:
            raise BadInput(f"url: {error}", "url") from None
        end = await self._store.end()
        # The cursor first: it is told what changes from now on, whoever delivers.
        await self._register.put_state(endpoint.id, State(cursor=str(end)))
        await self._register.put(endpoint, new=True)
        await self._done("register", endpoint.id)
        return {**shown(endpoint), "secret": endpoint.secrets[0].text}

    async def all(self) -> list[dict[str, Any]]:
        """Return all endpoints, and how each fares."""
        registered = await self._register.endpoints()
        states, end = await self._register.states(), await self._store.end()
        return [
            await self._whole(one, states.get(one.id), end)
            for one in (*self.standing.values(), *registered)
        ]

    async def one(self, id_: str) -> dict[str, Any]:
        """Return an endpoint, and how it fares. Raises `NoWebhook`."""
        endpoint = await self._found(id_)
        state = await self._register.state(id_)
        return await self._whole(endpoint, state, await self._store.end())

    async def delete(self, id_: str) -> None:
        """Forget an endpoint and what waits for it. Raises `NoWebhook`, `BadInput`."""
        await self._changeable(id_)
        await self._register.drop(id_)
        await self._done("delete", id_)

    async def rotate(self, id_: str, keep: float = KEEP_SECRET) -> dict[str, Any]:
        """Give an endpoint a new secret, and return it with that.

        The old one goes on signing for `keep` seconds. Raises as `delete`.
        """
        if not 0 <= keep <= MOST_KEPT:
            raise BadInput(
                f"keep must be a number of seconds from 0 to {MOST_KEPT:.0f}", "keep"
            )
        endpoint = (await self._changeable(id_)).rotated(keep, time.time())
        await self._register.put(endpoint)
        await self._done("rotate", id_)
        return {**shown(endpoint), "secret": endpoint.secrets[0].text}

    async def enable(self, id_: str) -> dict[str, Any]:
        """Go on telling an endpoint that was disabled. Raises as `delete`."""
        endpoint = await self._changeable(id_)
        now = time.time()
        await self._register.put(msgspec.structs.replace(endpoint, revived_at=now))
        await self._done("enable", id_)
        return await self.one(id_)

    async def dead(self, id_: str, most: int) -> list[dict[str, Any]]:
        """Return letters that were given up, the latest first. Raises `NoWebhook`."""
        await self._found(id_)
        return [_letter(one) for one in await self._register.dead(id_, most)]

    async def replay(self, id_: str, ids: Iterable[str] | None) -> list[str]:
        """Have dead letters sent again; return their ids. Raises `NoWebhook`."""
        await self._found(id_)
        back = await self._register.replay(id_, ids)
        await self._done("replay", id_, len(back))
        return back

    async def _done(self, what: str, id_: str, count: int = 1) -> None:
        self.changed.set()
        await self._audit.record(f"{what}_webhook", id_, count=count)

    async def _found(self, id_: str) -> Endpoint:
        endpoint = self.standing.get(id_) or await self._register.endpoint(id_)
        if endpoint is None:
            raise NoWebhook(f"there is no webhook {id_[:60]!r}; list them to see which")
        return endpoint

    async def _changeable(self, id_: str) -> Endpoint:
        endpoint = await self._found(id_)
        if endpoint.origin == TOML:
            raise BadInput(
                f"webhook {id_} stands in herald.toml: change it there, and restart"
            )
        return endpoint

    async def _whole(
        self, endpoint: Endpoint, state: State | None, end: Cursor
    ) -> dict[str, Any]:
        dead = await self._register.count_dead(endpoint.id)
        return {**shown(endpoint), **faring(endpoint, state, end), "dead": dead}


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """Return an endpoint as it is shown: without its secrets."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "filter": to_dict(endpoint.filter),
        "on": list(endpoint.on),
        "format": endpoint.format,
        "description": endpoint.description,
        "origin": endpoint.origin,
        **({"created_at": endpoint.created_at} if endpoint.created_at else {}),
    }


def faring(endpoint: Endpoint, state: State | None, end: Cursor) -> dict[str, Any]:
    """Return how an endpoint fares, as it is shown; the log ends at `end`."""
    state = state or State(cursor=str(end))
    cursor = parse_any_cursor(state.cursor)
    behind = end.n - cursor.n if end.epoch == cursor.epoch else None
    told: dict[str, Any] = {
        **to_dict(state),
        "behind": max(behind, 0) if behind is not None else None,
        "until": rfc3339(state.until) if state.until else None,
        "disabled_at": None,
        "disabled_why": None,
    }
    if state.disabled_at > endpoint.revived_at:
        told["disabled_at"] = rfc3339(state.disabled_at)
        told["disabled_why"] = state.disabled_why
    for counted in ("accepted", "failed", "given_up", "resets", "waiting", "late"):
        told.setdefault(counted, 0)
    told.setdefault("breaker", state.breaker)
    return {key: value for key, value in told.items() if value is not None}


def _letter(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "type": message.type,
        "task_id": message.lane,
        "timestamp": message.at,
        "attempts": message.attempts,
        "first_tried_at": rfc3339(message.since),
        "why": message.why,
        "body": msgspec.Raw(message.body),
    }
