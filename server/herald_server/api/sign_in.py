"""Routes of single sign-on: sign in, refresh, sign out."""

from __future__ import annotations

import html
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from herald_server.api.actions import make_json_response
from herald_server.api.context import ServerContext
from herald_server.api.dashboard import HEADERS
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require_scope
from herald_server.auth.identity import Identity
from herald_server.auth.sso.ambient import AMBIENT_TOKEN, is_secure
from herald_server.auth.sso.cookies import (
    LOGIN,
    SESSION,
    format_cookie,
    name_cookie,
    read_cookie,
)
from herald_server.auth.sso.mapping import NoGroup
from herald_server.auth.sso.oidc import LOGIN_TTL_S
from herald_server.auth.sso.provider_endpoints import LoginFailed, ProviderUnavailable
from herald_server.auth.sso.service import SsoService, SsoSession

BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="herald", charset="UTF-8"'}
NOT_SET_UP = "single sign-on is not set up here; see [sso] of the herald.toml"


class SignInRoutes:
    """Routes below `/auth`. `public_url` is where people reach the server, if known."""

    def __init__(
        self, shared: ServerContext, service: SsoService | None, public_url: str
    ) -> None:
        self._audit = shared.audit
        self._environment = shared.environment
        self._service = service
        self._public_url = public_url

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/auth/session", self.describe, methods=["GET"]),
            Route("/auth/login", self.sign_in, methods=["GET"]),
            Route("/auth/password", self.sign_in_by_password, methods=["GET"]),
            Route("/auth/callback", self.finish, methods=["GET"]),
            Route("/auth/refresh", self.refresh, methods=["POST"]),
            Route("/auth/logout", self.sign_out, methods=["POST"]),
        ]

    async def describe(self, request: Request) -> Response:
        """Return how one can sign in, and who has."""
        who: Identity | None = request.scope["state"]["identity"]
        body: dict[str, Any] = {"methods": [], "caller": None}
        if self._service is not None:
            body["methods"] = self._service.list_methods()
        if who is not None:
            body |= {"caller": who.name, "expires": who.expires}
        elif self._service is not None:
            body["refusal"] = request.scope["state"].get("refusal", "")
        return make_json_response(body)

    async def sign_in(self, request: Request) -> Response:
        """Redirect to the provider."""
        service = self._require_service()
        redirect = f"{self._get_base(request)}/auth/callback"
        try:
            url, cookie = await service.begin_login(redirect)
        except (LoginFailed, ProviderUnavailable) as error:
            return _make_page(503, str(error))
        answer = RedirectResponse(url, 302)
        self._set_cookie(request, answer, LOGIN, cookie, LOGIN_TTL_S)
        return answer

    async def sign_in_by_password(self, request: Request) -> Response:
        """Ask for a password; begin a session once it was right."""
        self._require_service()
        state = request.scope["state"]
        who: Identity | None = state["identity"]
        token = state.get(AMBIENT_TOKEN)
        if who is None or token is None or "authorization" not in request.headers:
            needed = "A user name and password are needed."
            return _make_page(401, needed, BASIC_CHALLENGE)
        await self._audit.record("sign_in", who.name)
        answer = RedirectResponse(f"{self._get_base(request)}/", 302)
        self._set_session(request, answer, SsoSession(token, who))
        return answer

    async def finish(self, request: Request) -> Response:
        """Begin the session of a person whom the provider sent back."""
        service = self._require_service()
        kind = name_cookie(LOGIN, self._environment)
        cookie = read_cookie(
            request.headers.get("cookie"), kind, is_secure(request.scope)
        )
        try:
            session = await service.finish_login(cookie, dict(request.query_params))
        except NoGroup as error:
            return _make_page(403, str(error))
        except LoginFailed as error:
            return _make_page(400, str(error))
        except ProviderUnavailable as error:
            return _make_page(503, str(error))
        await self._audit.record("sign_in", session.who.name)
        answer = RedirectResponse(f"{self._get_base(request)}/", 302)
        self._set_session(request, answer, session)
        self._set_cookie(request, answer, LOGIN, "", 0)
        return answer

    async def refresh(self, request: Request) -> Response:
        """Renew the session, with the groups as they are now; 401 if that cannot be."""
        service, who = self._require_session(request)
        try:
            session = await service.refresh(who)
        except NoGroup as error:
            await service.end(who, "")
            raise Problem(403, str(error)) from None
        except LoginFailed as error:
            raise Problem(401, str(error)) from None
        except ProviderUnavailable as error:
            raise Problem(503, str(error)) from None
        answer = make_json_response(
            {"caller": session.who.name, "expires": session.who.expires}
        )
        self._set_session(request, answer, session)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session; return the URL at which that of the provider ends."""
        service, who = self._require_session(request)
        url = await service.end(who, f"{self._get_base(request)}/")
        await self._audit.record("sign_out", who.name)
        answer = make_json_response({"url": url})
        self._set_cookie(request, answer, SESSION, "", 0)
        return answer

    def _require_service(self) -> SsoService:
        if self._service is None:
            raise Problem(404, NOT_SET_UP)
        return self._service

    def _require_session(self, request: Request) -> tuple[SsoService, Identity]:
        who = require_scope(request.scope, "read")
        if self._service is None or not self._service.is_session(who):
            raise Problem(403, "this caller has a token, and no session")
        return self._service, who

    def _set_session(
        self, request: Request, answer: Response, session: SsoSession
    ) -> None:
        self._set_cookie(request, answer, SESSION, session.token, session.seconds)

    def _set_cookie(
        self, request: Request, answer: Response, kind: str, value: str, seconds: float
    ) -> None:
        text = format_cookie(
            name_cookie(kind, self._environment),
            value,
            seconds,
            is_secure=is_secure(request.scope),
            path=f"{request.scope.get('root_path', '')}/",
        )
        answer.headers.append("Set-Cookie", text)

    def _get_base(self, request: Request) -> str:
        if self._public_url:
            return self._public_url
        root: str = request.scope.get("root_path", "")
        return f"{request.url.scheme}://{request.url.netloc}{root}"


def _make_page(
    status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a page with a sentence, for people whom no script serves."""
    text = html.escape(message)
    body = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Herald</title>'
        f'<p>{text}</p><p><a href="../">Back to Herald</a></p></html>'
    )
    all_ = {**HEADERS, "Cache-Control": "no-store", **(headers or {})}
    return HTMLResponse(body, status, headers=all_)
