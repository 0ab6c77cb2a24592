"""REST routes of tokens: mint, list, revoke."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_core.model.tasks.views import from_rfc3339
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require_scope
from herald_server.auth.identity import Identity
from herald_server.auth.quotas.start_limits import StartLimits
from herald_server.auth.tokens.authenticator import Authenticator
from herald_server.auth.tokens.issuer import derive_identity
from herald_server.auth.tokens.request import (
    MAX_TTL_S,
    check_permitted,
    parse_token_request,
    to_token_view,
)

KEY_KIND = "token"
"""Notes about tokens that were minted, for as long as they live."""

ID_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")
PATH = "/api/v1/tokens"


class TokenRoutes:
    """`/api/v1/tokens`. A caller cannot mint more rights than it has."""

    def __init__(self, shared: ServerContext, authenticator: Authenticator) -> None:
        self._notes = shared.store
        self._audit = shared.audit
        self._authenticator = authenticator
        self._start_limits = StartLimits(metrics=shared.metrics)

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(PATH, self.mint_token, methods=["POST"]),
            Route(PATH, self.list_tokens, methods=["GET"]),
            Route(f"{PATH}/{{id:path}}", self.revoke_token, methods=["DELETE"]),
        ]

    async def mint_token(self, request: Request) -> Response:
        """Mint a token: `{"scopes": […], "only": {…}, "ttl": 900, "label": …}`."""
        owner = _require_identity(request)
        wish = parse_token_request(await read_json_object(request, empty=True))
        check_permitted(owner, wish)
        self._start_limits.check_mint(owner)
        mint = self._authenticator.issuer
        if mint is None:
            raise Problem(503, "this server cannot sign tokens")
        now = time.time()
        who = derive_identity(
            owner,
            wish.scopes,
            wish.only,
            now + wish.ttl,
            wish.label,
            self._authenticator.environment,
        )
        view = to_token_view(who, now)
        assert who.expires is not None
        await self._notes.put_item(KEY_KIND, who.id, to_json(view), who.expires - now)
        await self._audit.record("mint", who.id, name=who.name)
        return _respond({"token": mint.sign(who), **view}, 201)

    async def list_tokens(self, request: Request) -> Response:
        """List the valid minted tokens: all for the scope admin, else
        those minted from the caller's own."""
        owner = _require_identity(request)
        found = [one for one in await self._read_tokens() if _is_theirs(owner, one)]
        return _respond({"tokens": sorted(found, key=lambda one: one["minted_at"])})

    async def _read_tokens(self) -> list[dict[str, Any]]:
        notes = await self._notes.get_items(KEY_KIND)
        found = [msgspec.json.decode(note) for note in notes.values()]
        revoked = self._authenticator.revocations
        return [
            o for o in found if revoked is None or not revoked.has_any(_list_ids(o))
        ]

    async def revoke_token(self, request: Request) -> Response:
        """Revoke a token, and those minted from it; their connections end."""
        owner = _require_identity(request)
        id_ = request.path_params["id"]
        note = (
            await self._notes.get_item(KEY_KIND, id_)
            if ID_PATTERN.fullmatch(id_)
            else None
        )
        known: dict[str, Any] | None = msgspec.json.decode(note) if note else None
        if not _can_revoke(owner, id_, known):
            raise Problem(404, f"you have minted no token {id_[:80]!r} that lives")
        self._start_limits.check_mint(owner)
        assert self._authenticator.revocations is not None
        lives = from_rfc3339(known["expires_at"]) - time.time() if known else MAX_TTL_S
        await self._authenticator.revocations.add(id_, max(lives, 1.0))
        await self._notes.delete_item(KEY_KIND, id_)
        await self._audit.record("revoke", id_)
        return _respond({"id": id_, "revoked": True})


def _require_identity(request: Request) -> Identity:
    """Return the caller: any valid token may mint what it has itself."""
    who: Identity | None = request.scope.get("state", {}).get("identity")
    return require_scope(
        request.scope, min(who.scopes) if who and who.scopes else "read"
    )


def _list_ids(one: dict[str, Any]) -> list[str]:
    return [one["id"], *one.get("by", ())]


def _is_theirs(owner: Identity, one: dict[str, Any]) -> bool:
    if owner.has_scope("admin") and owner.task_filter is None:
        return True
    if owner.id:
        return owner.id in _list_ids(one)
    return str(one["name"]).startswith(f"{owner.name}/")


def _can_revoke(owner: Identity, id_: str, known: dict[str, Any] | None) -> bool:
    if not ID_PATTERN.fullmatch(id_):
        return False
    if owner.has_scope("admin") and owner.task_filter is None:
        # A token of another issuer is not listed, but can be revoked.
        return True
    return id_ == owner.id or (known is not None and _is_theirs(owner, known))


def _respond(body: object, status: int = 200) -> Response:
    return Response(
        to_json(body),
        status,
        # Tokens must not be cached (RFC 6749 §5.1).
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
