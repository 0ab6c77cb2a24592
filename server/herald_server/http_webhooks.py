"""The HTTP door of webhooks, for tokens with the scope `admin`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput
from herald_server.http_auth import allowed
from herald_server.http_body import json_object
from herald_server.http_orders import shown
from herald_server.problems import Problem
from herald_server.webhooks.desk import KEEP_SECRET, Desk, NoWebhook

MOST_SHOWN = 200
SHOWN = 100

T = TypeVar("T")


class Webhooks:
    """Routes below `/api/v1/webhooks`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return the routes."""
        all_, one = "/api/v1/webhooks", "/api/v1/webhooks/{id}"
        return [
            Route(all_, self.register, methods=["POST"]),
            Route(all_, self.list, methods=["GET"]),
            Route(one, self.one, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/dead", self.dead, methods=["GET"]),
            Route(f"{one}/replay", self.replay, methods=["POST"]),
            Route(f"{one}/rotate", self.rotate, methods=["POST"]),
            Route(f"{one}/enable", self.enable, methods=["POST"]),
        ]

    @allowed("admin", whole=True)
    async def register(self, request: Request) -> Response:
        """Register an endpoint: `url`, and `filter on format description secret`."""
        return shown(await self._desk.register(await json_object(request)), 201)

    @allowed("admin", whole=True)
    async def list(self, request: Request) -> Response:
        """Return all endpoints, and how each fares."""
        return shown({"webhooks": await self._desk.all()})

    @allowed("admin", whole=True)
    async def one(self, request: Request) -> Response:
        """Return one endpoint, and how it fares."""
        return shown(await _or_404(self._desk.one(_id(request))))

    @allowed("admin", whole=True)
    async def delete(self, request: Request) -> Response:
        """Forget an endpoint."""
        await _or_404(self._desk.delete(_id(request)))
        return Response(status_code=204)

    @allowed("admin", whole=True)
    async def dead(self, request: Request) -> Response:
        """Return what was given up, the latest first: `?limit=`."""
        most = _limit(request.query_params.get("limit"))
        return shown({"dead": await _or_404(self._desk.dead(_id(request), most))})

    @allowed("admin", whole=True)
    async def replay(self, request: Request) -> Response:
        """Send dead letters again: all, or those of `ids`."""
        body = await json_object(request, empty=True)
        _only(body, "ids")
        ids = body.get("ids")
        if ids is not None and not _texts(ids):
            raise BadInput("ids must be a list of ids of dead letters", "ids")
        wanted = cast("list[str] | None", ids)
        back = await _or_404(self._desk.replay(_id(request), wanted))
        return shown({"replayed": back}, 202)

    @allowed("admin", whole=True)
    async def rotate(self, request: Request) -> Response:
        """Make a new secret; the old one goes on signing for `keep` seconds."""
        body = await json_object(request, empty=True)
        _only(body, "keep")
        keep = body.get("keep", KEEP_SECRET)
        if isinstance(keep, bool) or not isinstance(keep, int | float):
            raise BadInput("keep must be a number of seconds", "keep")
        return shown(await _or_404(self._desk.rotate(_id(request), float(keep))))

    @allowed("admin", whole=True)
    async def enable(self, request: Request) -> Response:
        """Go on with an endpoint that was disabled."""
        return shown(await _or_404(self._desk.enable(_id(request))))


def _id(request: Request) -> str:
    id_: str = request.path_params["id"]
    return id_


async def _or_404(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except NoWebhook as error:
        raise Problem(404, str(error)) from None


def _only(body: Mapping[str, object], known: str) -> None:
    """Raise `BadInput` for a key other than `known`."""
    unknown = sorted(body.keys() - {known})
    if unknown:
        raise BadInput(f"unknown key {unknown[0][:40]!r}; send {known}, or nothing")


def _texts(value: object) -> bool:
    listed = cast("list[object]", value) if isinstance(value, list) else [None]
    return all(isinstance(one, str) for one in listed)


def _limit(text: str | None) -> int:
    if text is None:
        return SHOWN
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_SHOWN:
        return int(text)
    raise BadInput(f"limit must be a whole number from 1 to {MOST_SHOWN}", "limit")
