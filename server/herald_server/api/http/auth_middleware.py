"""Authentication of HTTP requests; checks of Host and Origin."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from herald_server.api.http.challenges import (
    RESOURCE,
    TOKEN_ERROR,
    make_token_challenge,
)
from herald_server.api.http.problems import make_problem_response
from herald_server.api.http.route_scopes import TOKEN_NEEDED
from herald_server.api.http.token_expiry import ExpiringApp
from herald_server.auth.identity import AllowedOrigins, Identity, parse_bearer
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import (
    REQUEST_COST_S,
    Account,
    AccountRegistry,
)
from herald_server.auth.quotas.cpu_metering import MeteredCoroutine
from herald_server.auth.quotas.cpu_queue import wait_to_enter
from herald_server.auth.request_context import ANONYMOUS, enter_request
from herald_server.auth.sso.ambient import AMBIENT_TOKEN, AmbientCredentials
from herald_server.auth.tokens import Authenticator, BadToken
from herald_server.auth.tokens.authenticator import TOKEN_NEEDED as UNKNOWN
from herald_server.auth.tokens.claims import Forbidden
from herald_server.auth.tokens.introspection import IssuerUnavailable
from herald_server.push.connection.transport import EXTENSION, Abortable

SELF_CLOSING_PATHS = ("/events",)
"""Paths whose handlers tell their clients why the connection ends."""

PROBE_PATHS = ("/healthz", "/readyz", "/metrics")
"""Paths for probes, which use any host name of their cluster. They reveal nothing
without a token, so DNS rebinding gains nothing."""


RETRY_AFTER = {"Retry-After": "5"}


class AuthMiddleware:
    """Outermost ASGI middleware: checks Host and Origin, and authenticates.

    Foreign hosts and origins are rejected for every API, WebSocket included. The
    identity of a valid token is in `scope["state"]["identity"]`; paths below
    `closed_paths` require one. Responses end when the token does, except for paths in
    `SELF_CLOSING_PATHS`, which tell the client first. `probe_hosts` are further hosts
    for `PROBE_PATHS`; None stands for all.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        allowed_origins: AllowedOrigins,
        closed_paths: tuple[str, ...],
        metrics: PushMetrics | None = None,
        accounts: AccountRegistry | None = None,
        probe_hosts: AllowedOrigins | None = None,
        ambient: AmbientCredentials | None = None,
    ) -> None:
        self._app = app
        self._ambient = ambient
        self._probe_hosts = probe_hosts or AllowedOrigins(["*"])
        self._accounts = accounts or AccountRegistry()
        self._authenticator = authenticator
        self._allowed_origins = allowed_origins
        self._closed_paths = closed_paths
        self._metrics = metrics or PushMetrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["identity"], state[RESOURCE] = None, self._authenticator.resource
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        refusal = self._refuse_foreign(headers, path)
        refusal = refusal or await self._identify(scope, headers, path)
        who: Identity | None = scope["state"]["identity"]
        address = (scope.get("client") or ("",))[0]
        account = self._enter(who, address, scope)
        refusal = refusal or await self._wait_for_account(account, scope, path)
        if refusal is not None:
            await _send_refusal(refusal, scope, receive, send)
            return
        app = self._choose_app(who, scope, path)
        work = cast(Coroutine[Any, Any, None], app(scope, receive, send))
        with enter_request(who or ANONYMOUS, address, account) as served:
            await MeteredCoroutine(work, served)

    def _refuse_foreign(self, headers: Headers, path: str) -> Response | None:
        host, origin = headers.get("host"), headers.get("origin")
        is_known = self._allowed_origins.is_host_allowed(host) or (
            path.rstrip("/") in PROBE_PATHS and self._probe_hosts.is_host_allowed(host)
        )
        if not is_known:
            self._metrics.count_refusal("host")
            return make_problem_response(
                421, "this host name is not served here; add it to HERALD_ALLOWED_HOSTS"
            )
        if not self._allowed_origins.is_origin_allowed(origin, host):
            self._metrics.count_refusal("origin")
            return make_problem_response(
                403, "pages of this origin may not connect; see HERALD_ALLOWED_ORIGINS"
            )
        return None

    async def _identify(
        self, scope: Scope, headers: Headers, path: str
    ) -> Response | None:
        """Authenticate the request; return the response if a token is required."""
        state = scope["state"]
        token = parse_bearer(headers.get("authorization"))
        try:
            if token is None and self._ambient is not None:
                token = await self._ambient.find_token(scope, headers)
                state[AMBIENT_TOKEN] = token
            state["identity"] = await self._authenticator.authenticate(token)
        except Forbidden as error:
            self._metrics.count_refusal("token")
            return make_problem_response(403, str(error))
        except BadToken as error:
            if token:
                self._metrics.count_refusal("token")
            return self._refuse_token(error, token, scope, path)
        return None

    def _refuse_token(
        self, error: BadToken, token: str | None, scope: Scope, path: str
    ) -> Response | None:
        """Note why there is no identity; return the response if one is required."""
        state = scope["state"]
        if isinstance(error, IssuerUnavailable) and path not in PROBE_PATHS:
            return make_problem_response(503, str(error), RETRY_AFTER)
        state["refusal"] = TOKEN_NEEDED if str(error) == UNKNOWN else str(error)
        state[TOKEN_ERROR] = str(error) if token else ""
        if scope["type"] != "http" or not path.startswith(self._closed_paths):
            return None
        return make_problem_response(401, state["refusal"], make_token_challenge(scope))

    def _enter(self, who: Identity | None, address: str, scope: Scope) -> Account:
        """Return the account that pays for a request, charged with its beginning."""
        wire: Abortable | None = scope.get("extensions", {}).get(EXTENSION)
        if who is None:
            account = self._accounts.for_address(address)
        else:
            account = self._accounts.for_identity(who)
        account.charge(REQUEST_COST_S, time.monotonic())
        if wire is not None:
            if who is None:
                wire.count_for(account)
            else:
                wire.admit(account)
        return account

    async def _wait_for_account(
        self, account: Account, scope: Scope, path: str
    ) -> Response | None:
        """Wait while the account is in debt; return the response if that takes too
        long.

        The token of a WebSocket may be sent later. Probes never wait.
        """
        unknown = scope["state"]["identity"] is None
        may_follow = unknown and scope["type"] == "websocket"
        if may_follow or path.rstrip("/") in PROBE_PATHS:
            return None
        retry_after_s = await wait_to_enter(account)
        if not retry_after_s:
            return None
        self._metrics.count_refusal("cpu")
        whose = "this address, without a token," if unknown else "this token"
        return make_problem_response(
            429,
            f"requests of {whose} took too much CPU time; send fewer, or smaller ones,"
            f" and come back in {retry_after_s} s",
            {"Retry-After": str(retry_after_s)},
        )

    def _choose_app(self, who: Identity | None, scope: Scope, path: str) -> ASGIApp:
        """Return the app; one that ends with the token if the response may."""
        if (
            who is None
            or scope["type"] != "http"
            or path.startswith(SELF_CLOSING_PATHS)
        ):
            return self._app
        # A write that was begun is completed; it takes seconds.
        if scope["method"] not in ("GET", "HEAD") and not path.startswith(
            self._closed_paths
        ):
            return self._app
        if not self._authenticator.can_end(who):
            return self._app
        return ExpiringApp(self._app, self._authenticator, who)


async def _send_refusal(
    refusal: Response, scope: Scope, receive: Receive, send: Send
) -> None:
    if scope["type"] == "http":
        await refusal(scope, receive, send)
        return
    # The WebSocket Denial Response extension of ASGI: the handshake gets the
    # status and the sentence instead of a bare 403.
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4403})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refusal.status_code,
            "headers": refusal.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(refusal.body)})
