"""Minting, listing and revoking tokens over HTTP."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import unix
from herald_server.auth import Identity
from herald_server.http_auth import demand
from herald_server.http_body import json_object
from herald_server.permits import Permits
from herald_server.problems import Problem
from herald_server.state import Shared
from herald_server.tokens.keyring import Keyring
from herald_server.tokens.minting import made_of
from herald_server.tokens.wish import MOST_TTL, check, parse_wish, shown

KIND = "token"
"""Notes about tokens that were minted, for as long as they live."""

ID = re.compile(r"[\x21-\x7e]{1,255}")
PATH = "/api/v1/tokens"


class TokenRoutes:
    """`/api/v1/tokens`. Nobody mints more than they have."""

    def __init__(self, shared: Shared, keyring: Keyring) -> None:
        self._notes = shared.store
        self._audit = shared.audit
        self._keyring = keyring
        self._permits = Permits(tally=shared.tally)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(PATH, self.mint, methods=["POST"]),
            Route(PATH, self.minted, methods=["GET"]),
            Route(f"{PATH}/{{id:path}}", self.revoke, methods=["DELETE"]),
        ]

    async def mint(self, request: Request) -> Response:
        """Make a token: `{"scopes": […], "only": {…}, "ttl": 900, "label": …}`."""
        owner = _caller(request)
        wish = parse_wish(await json_object(request, empty=True))
        check(owner, wish)
        self._permits.check_mint(owner)
        mint = self._keyring.mint
        if mint is None:
            raise Problem(503, "this server cannot sign tokens")
        now = time.time()
        who = made_of(owner, wish.scopes, wish.only, now + wish.ttl, wish.label)
        told = shown(who, now)
        assert who.expires is not None
        await self._notes.put_note(KIND, who.id, to_json(told), who.expires - now)
        await self._audit.record("mint", who.id, name=who.name)
        return _shown({"token": mint.sign(who), **told}, 201)

    async def minted(self, request: Request) -> Response:
        """List the minted tokens that live: all for who has the scope admin, else
        those that were made from the caller's own.
        """
        owner = _caller(request)
        found = [one for one in await self._listed() if _is_theirs(owner, one)]
        return _shown({"tokens": sorted(found, key=lambda one: one["minted_at"])})

    async def _listed(self) -> list[dict[str, Any]]:
        notes = await self._notes.notes(KIND)
        found = [msgspec.json.decode(note) for note in notes.values()]
        revoked = self._keyring.revoked
        return [o for o in found if revoked is None or not revoked.has(_ids(o))]

    async def revoke(self, request: Request) -> Response:
        """Revoke a token, and those made from it; its connections end."""
        owner = _caller(request)
        id_ = request.path_params["id"]
        note = await self._notes.note(KIND, id_) if ID.fullmatch(id_) else None
        known: dict[str, Any] | None = msgspec.json.decode(note) if note else None
        if not _may_revoke(owner, id_, known):
            raise Problem(404, f"you have minted no token {id_[:80]!r} that lives")
        self._permits.check_mint(owner)
        assert self._keyring.revoked is not None
        lives = unix(known["expires_at"]) - time.time() if known else MOST_TTL
        await self._keyring.revoked.add(id_, max(lives, 1.0))
        await self._notes.drop_note(KIND, id_)
        await self._audit.record("revoke", id_)
        return _shown({"id": id_, "revoked": True})


def _caller(request: Request) -> Identity:
    """Return who asks: any valid token may mint what it has itself."""
    who: Identity | None = request.scope.get("state", {}).get("identity")
    return demand(request.scope, min(who.scopes) if who and who.scopes else "read")


def _ids(one: dict[str, Any]) -> list[str]:
    return [one["id"], *one.get("by", ())]


def _is_theirs(owner: Identity, one: dict[str, Any]) -> bool:
    if owner.may("admin") and owner.only is None:
        return True
    if owner.id:
        return owner.id in _ids(one)
    return str(one["name"]).startswith(f"{owner.name}/")


def _may_revoke(owner: Identity, id_: str, known: dict[str, Any] | None) -> bool:
    if not ID.fullmatch(id_):
        return False
    if owner.may("admin") and owner.only is None:
        # One that was signed elsewhere is listed nowhere, and revoked all the same.
        return True
    return id_ == owner.id or (known is not None and _is_theirs(owner, known))


def _shown(body: object, status: int = 200) -> Response:
    return Response(
        to_json(body),
        status,
        # A token must not lie in any cache (RFC 6749 §5.1).
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
