"""REST routes of webhooks, for tokens with the scope `admin`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_server.api.actions import make_json_response
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.webhooks.admin import SECRET_OVERLAP_S, UnknownWebhook, WebhookAdmin

MAX_LETTERS = 200
DEFAULT_LETTERS = 100

T = TypeVar("T")


class WebhookRoutes:
    """Routes below `/api/v1/webhooks`."""

    def __init__(self, admin: WebhookAdmin) -> None:
        self._admin = admin

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_, one = "/api/v1/webhooks", "/api/v1/webhooks/{id}"
        return [
            Route(all_, self.register, methods=["POST"]),
            Route(all_, self.list, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/dead", self.list_dead, methods=["GET"]),
            Route(f"{one}/replay", self.replay, methods=["POST"]),
            Route(f"{one}/rotate", self.rotate, methods=["POST"]),
            Route(f"{one}/enable", self.enable, methods=["POST"]),
        ]

    @require("admin", whole=True)
    async def register(self, request: Request) -> Response:
        """Register an endpoint: `url`, and `filter on format description secret`."""
        return make_json_response(
            await self._admin.register(await read_json_object(request)), 201
        )

    @require("admin", whole=True)
    async def list(self, request: Request) -> Response:
        """Return all endpoints with their status."""
        return make_json_response({"webhooks": await self._admin.list_all()})

    @require("admin", whole=True)
    async def get(self, request: Request) -> Response:
        """Return one endpoint with its status."""
        return make_json_response(
            await _answer_or_404(self._admin.get(_parse_id(request)))
        )

    @require("admin", whole=True)
    async def delete(self, request: Request) -> Response:
        """Delete an endpoint."""
        await _answer_or_404(self._admin.delete(_parse_id(request)))
        return Response(status_code=204)

    @require("admin", whole=True)
    async def list_dead(self, request: Request) -> Response:
        """Return the dead letters, the latest first: `?limit=`."""
        limit = _parse_limit(request.query_params.get("limit"))
        return make_json_response(
            {
                "dead": await _answer_or_404(
                    self._admin.list_dead(_parse_id(request), limit)
                )
            }
        )

    @require("admin", whole=True)
    async def replay(self, request: Request) -> Response:
        """Resend dead letters: all, or those of `ids`."""
        body = await read_json_object(request, empty=True)
        _refuse_unknown_keys(body, "ids")
        ids = body.get("ids")
        if ids is not None and not _is_text_list(ids):
            raise InvalidInput("ids must be a list of ids of dead letters", "ids")
        wanted = cast("list[str] | None", ids)
        back = await _answer_or_404(self._admin.replay(_parse_id(request), wanted))
        return make_json_response({"replayed": back}, 202)

    @require("admin", whole=True)
    async def rotate(self, request: Request) -> Response:
        """Create a new secret; the old one remains valid for `keep` seconds."""
        body = await read_json_object(request, empty=True)
        _refuse_unknown_keys(body, "keep")
        keep = body.get("keep", SECRET_OVERLAP_S)
        if isinstance(keep, bool) or not isinstance(keep, int | float):
            raise InvalidInput("keep must be a number of seconds", "keep")
        return make_json_response(
            await _answer_or_404(self._admin.rotate(_parse_id(request), float(keep)))
        )

    @require("admin", whole=True)
    async def enable(self, request: Request) -> Response:
        """Resume a disabled endpoint."""
        return make_json_response(
            await _answer_or_404(self._admin.enable(_parse_id(request)))
        )


def _parse_id(request: Request) -> str:
    id_: str = request.path_params["id"]
    return id_


async def _answer_or_404(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except UnknownWebhook as error:
        raise Problem(404, str(error)) from None


def _refuse_unknown_keys(body: Mapping[str, object], known: str) -> None:
    """Raise `InvalidInput` for a key other than `known`."""
    unknown = sorted(body.keys() - {known})
    if unknown:
        raise InvalidInput(f"unknown key {unknown[0][:40]!r}; send {known}, or nothing")


def _is_text_list(value: object) -> bool:
    listed = cast("list[object]", value) if isinstance(value, list) else [None]
    return all(isinstance(one, str) for one in listed)


def _parse_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LETTERS
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LETTERS:
        return int(text)
    raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LETTERS}", "limit")
