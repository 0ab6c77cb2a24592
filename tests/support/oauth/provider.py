"""A small authorization server: registration, authorization with PKCE, introspection.

Whoever asks gets what they ask for at once: its user agrees to everything but the
scopes that `withheld` names.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.herald.uvicorn_server import Quiet
from tests.support.wait import wait_until_async

INTROSPECTION_CLIENT = ("herald", "a-secret-of-herald")


class OAuthProvider:
    """The server at `url`, without a slash at its end.

    `opaque`: its tokens are no JWTs. `lifetime_s` is that of an access token.
    """

    def __init__(self, url: str, *, opaque: bool = False) -> None:
        self.url = url
        self.opaque = opaque
        self.lifetime_s = 3_600.0
        self.withheld: set[str] = set()
        self.requested: list[str] = []
        """The scopes of each authorization that was asked for."""
        self.questions = 0
        """How often it was asked about a token."""
        self.tokens: dict[str, dict[str, Any]] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self._key = Ed25519PrivateKey.generate()

    def list_routes(self) -> list[Route]:
        """Return its routes."""
        return [
            Route("/.well-known/oauth-authorization-server", self._describe),
            Route("/jwks", self._list_keys),
            Route("/register", self._register, methods=["POST"]),
            Route("/authorize", self._authorize),
            Route("/token", self._give_token, methods=["POST"]),
            Route("/introspect", self._introspect, methods=["POST"]),
        ]

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "registration_endpoint": f"{self.url}/register",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _list_keys(self, request: Request) -> Response:
        key = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        key.pop("key_ops", None)
        return JSONResponse({"keys": [{**key, "kid": "k1", "alg": "EdDSA"}]})

    async def _register(self, request: Request) -> Response:
        asked = await request.json()
        told = {"client_id": secrets.token_hex(8), "token_endpoint_auth_method": "none"}
        return JSONResponse({**asked, **told}, 201)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.requested.append(asked.get("scope", ""))
        code = secrets.token_hex(8)
        self._codes[code] = asked
        told = {"code": code, "state": asked.get("state", ""), "iss": self.url}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(told)}", 302)

    async def _give_token(self, request: Request) -> Response:
        asked: FormData = await request.form()
        told = self._codes.pop(str(asked.get("code")), None)
        if told is None or not _proves(asked, told):
            return JSONResponse({"error": "invalid_grant"}, 400)
        scope = " ".join(
            one for one in told.get("scope", "").split() if one not in self.withheld
        )
        token = self.sign(scope=scope, aud=str(asked.get("resource", "")))
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.lifetime_s,
                "scope": scope,
            }
        )

    def sign(self, **claims: Any) -> str:
        """Return a token with `claims`."""
        told: dict[str, Any] = {
            "iss": self.url,
            "sub": "ann",
            "exp": time.time() + self.lifetime_s,
            "jti": secrets.token_hex(4),
            **claims,
        }
        token = secrets.token_urlsafe(24)
        if not self.opaque:
            token = jwt.encode(told, self._key, "EdDSA", {"kid": "k1"})
        self.tokens[token] = {"active": True, **told}
        return token

    async def _introspect(self, request: Request) -> Response:
        self.questions += 1
        sent = request.headers.get("authorization", "")
        known = ":".join(INTROSPECTION_CLIENT).encode()
        if sent != f"Basic {base64.b64encode(known).decode()}":
            return Response(status_code=401)
        token = str((await request.form()).get("token"))
        return JSONResponse(self.tokens.get(token, {"active": False}))


def _proves(asked: FormData, told: dict[str, str]) -> bool:
    """Return True if the PKCE verifier is that of the challenge (RFC 7636 §4.6)."""
    digest = hashlib.sha256(str(asked.get("code_verifier")).encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return challenge == told.get("code_challenge")


@contextlib.asynccontextmanager
async def providing(*, opaque: bool = False) -> AsyncGenerator[OAuthProvider]:
    """Serve a provider on a free port for the length of the block."""
    bound = listen("127.0.0.1", 0)
    made = OAuthProvider(format_url(bound)[:-1], opaque=opaque)
    config = uvicorn.Config(
        Starlette(routes=made.list_routes()), log_config=None, access_log=False
    )
    config.timeout_graceful_shutdown = 1
    server = Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await wait_until_async(lambda: server.started)
        yield made
    finally:
        server.should_exit = True
        await running
        bound.close()
