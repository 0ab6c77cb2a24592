"""Administration of webhooks: register, list, change and delete endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.cursor import Cursor
from herald_core.model.tasks.views import to_dict, to_rfc3339
from herald_core.model.vector_cursor import parse_any_cursor
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.webhooks.endpoint import (
    TOML,
    WebhookEndpoint,
    parse_endpoint,
    split_host_and_port,
)
from herald_server.webhooks.message import WebhookMessage
from herald_server.webhooks.repository import EndpointState, WebhookRepository
from herald_server.webhooks.ssrf_guard import (
    AddressUnresolved,
    ForbiddenAddress,
    SsrfGuard,
)

SECRET_OVERLAP_S = 86_400.0
MAX_SECRET_OVERLAP_S = 30 * 86_400.0
"""Maximum seconds for which a replaced secret still signs."""


class UnknownWebhook(HeraldError):
    """There is no endpoint with that id."""


class WebhookAdmin:
    """Endpoints of the store, and those of this process's herald.toml.

    `store` is unrestricted: endpoints are for tokens that see everything.
    """

    def __init__(
        self,
        store: Store,
        guard: SsrfGuard,
        standing: Sequence[WebhookEndpoint] = (),
        audit: AuditLog | None = None,
    ) -> None:
        self._store = store
        self.guard = guard
        self.static_endpoints = {one.id: one for one in standing}
        self._repository = WebhookRepository(store)
        self._audit = audit or AuditLog(store)
        self.changed = asyncio.Event()
        """Set after each change, for the dispatcher of this process."""

    async def register(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Register an endpoint, and return it with its secret.

        Raises `InvalidInput`, also for a host name without an allowed address.
        """
        endpoint = parse_endpoint(given, to_rfc3339(time.time()))
        try:
            await self.guard.resolve_allowed(*split_host_and_port(endpoint.url))
        except (ForbiddenAddress, AddressUnresolved) as error:
            raise InvalidInput(f"url: {error}", "url") from None
        end = await self._store.read_end()
        # The cursor first: changes from now on are delivered by whichever process.
        await self._repository.put_state(endpoint.id, EndpointState(cursor=str(end)))
        await self._repository.put(endpoint, new=True)
        await self._record("register", endpoint.id)
        return {**to_view(endpoint), "secret": endpoint.secrets[0].text}

    async def place_static_endpoints(self) -> None:
        """Let new endpoints of herald.toml begin at the end of the log.

        Called before this process writes alerts, which it does at once: their worker
        starts later. Raises `StoreError`.
        """
        if self.static_endpoints:
            state = EndpointState(cursor=str(await self._store.read_end()))
            for id_ in self.static_endpoints:
                await self._repository.begin_state(id_, state)

    async def list_all(self) -> list[dict[str, Any]]:
        """Return all endpoints with their status."""
        registered = await self._repository.read_endpoints()
        states, end = await self._repository.read_states(), await self._store.read_end()
        return [
            await self._to_full_view(one, states.get(one.id), end)
            for one in (*self.static_endpoints.values(), *registered)
        ]

    async def get(self, id_: str) -> dict[str, Any]:
        """Return an endpoint with its status. Raises `UnknownWebhook`."""
        endpoint = await self._require(id_)
        state = await self._repository.read_state(id_)
        return await self._to_full_view(endpoint, state, await self._store.read_end())

    async def delete(self, id_: str) -> None:
        """Delete an endpoint and its messages.

        Raises `UnknownWebhook`, `InvalidInput`.
        """
        await self._require_changeable(id_)
        await self._repository.delete(id_)
        await self._record("delete", id_)

    async def rotate(self, id_: str, keep: float = SECRET_OVERLAP_S) -> dict[str, Any]:
        """Create a new secret for an endpoint, and return both.

        The old secret remains valid for `keep` seconds. Raises as `delete`.
        """
        if not 0 <= keep <= MAX_SECRET_OVERLAP_S:
            raise InvalidInput(
                "keep must be a number of seconds from 0 "
                f"to {MAX_SECRET_OVERLAP_S:.0f}",
                "keep",
            )
        endpoint = (await self._require_changeable(id_)).rotate_secret(
            keep, time.time()
        )
        await self._repository.put(endpoint)
        await self._record("rotate", id_)
        return {**to_view(endpoint), "secret": endpoint.secrets[0].text}

    async def enable(self, id_: str) -> dict[str, Any]:
        """Resume a disabled endpoint. Raises as `delete`."""
        endpoint = await self._require_changeable(id_)
        now = time.time()
        await self._repository.put(msgspec.structs.replace(endpoint, revived_at=now))
        await self._record("enable", id_)
        return await self.get(id_)

    async def list_dead(self, id_: str, limit: int) -> list[dict[str, Any]]:
        """Return the dead letters, the latest first. Raises `UnknownWebhook`."""
        await self._require(id_)
        return [
            _to_letter_view(one) for one in await self._repository.read_dead(id_, limit)
        ]

    async def replay(self, id_: str, ids: Iterable[str] | None) -> list[str]:
        """Resend dead letters; return their ids. Raises `UnknownWebhook`."""
        await self._require(id_)
        back = await self._repository.replay(id_, ids)
        await self._record("replay", id_, len(back))
        return back

    async def _record(self, what: str, id_: str, count: int = 1) -> None:
        self.changed.set()
        await self._audit.record(f"{what}_webhook", id_, count=count)

    async def _require(self, id_: str) -> WebhookEndpoint:
        endpoint = self.static_endpoints.get(
            id_
        ) or await self._repository.read_endpoint(id_)
        if endpoint is None:
            raise UnknownWebhook(
                f"there is no webhook {id_[:60]!r}; list them to see which"
            )
        return endpoint

    async def _require_changeable(self, id_: str) -> WebhookEndpoint:
        endpoint = await self._require(id_)
        if endpoint.origin == TOML:
            raise InvalidInput(
                f"webhook {id_} stands in herald.toml: change it there, and restart"
            )
        return endpoint

    async def _to_full_view(
        self, endpoint: WebhookEndpoint, state: EndpointState | None, end: Cursor
    ) -> dict[str, Any]:
        dead = await self._repository.count_dead(endpoint.id)
        return {
            **to_view(endpoint),
            **to_status_view(endpoint, state, end),
            "dead": dead,
        }


def to_view(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return an endpoint as JSON, without its secrets."""
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


def to_status_view(
    endpoint: WebhookEndpoint, state: EndpointState | None, end: Cursor
) -> dict[str, Any]:
    """Return the status of an endpoint as JSON; the log ends at `end`."""
    state = state or EndpointState(cursor=str(end))
    cursor = parse_any_cursor(state.cursor)
    behind = end.n - cursor.n if end.epoch == cursor.epoch else None
    view: dict[str, Any] = {
        **to_dict(state),
        "behind": max(behind, 0) if behind is not None else None,
        "until": to_rfc3339(state.until) if state.until else None,
        "disabled_at": None,
        "disabled_why": None,
    }
    if state.disabled_at > endpoint.revived_at:
        view["disabled_at"] = to_rfc3339(state.disabled_at)
        view["disabled_why"] = state.disabled_why
    for counted in ("accepted", "failed", "given_up", "resets", "waiting", "late"):
        view.setdefault(counted, 0)
    view.setdefault("breaker", state.breaker)
    return {key: value for key, value in view.items() if value is not None}


def _to_letter_view(message: WebhookMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "type": message.type,
        "task_id": message.lane,
        "timestamp": message.at,
        "attempts": message.attempts,
        "first_tried_at": to_rfc3339(message.since),
        "why": message.why,
        "body": msgspec.Raw(message.body),
    }
