"""Errors over HTTP, as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from herald_monitor.errors import BadInput, HeraldError, StoreError
from herald_monitor.model.codec import to_json
from herald_server.auth import NotAllowed
from herald_server.catalog import CatalogError
from herald_server.control import BrokerUnreachable
from herald_server.permits import TooMany

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that cannot be answered as asked: a status and a sentence."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.more = more or {}


def problem(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """Return a problem document that says `detail`; `more` are members of its own."""
    body = {
        **(more or {}),
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(to_json(body), status, headers, media_type=MEDIA_TYPE)


async def answer(request: Request, error: Exception) -> Response:
    """Return the problem document for an error that a route raised."""
    if isinstance(error, Problem):
        if error.status == 413:
            request.app.state.shared.tally.refuse("body")
        return problem(error.status, str(error), error.headers, error.more)
    if isinstance(error, HTTPException):
        return problem(
            error.status_code, _said(request, error), dict(error.headers or {})
        )
    if isinstance(error, TooMany):
        return problem(429, str(error), {"Retry-After": str(error.wait)})
    if isinstance(error, HeraldError):
        return problem(_status(error), str(error))
    return problem(500, "Herald failed at this; its log says more")


def _said(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"there is nothing at {request.url.path}"
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}"
    return str(error.detail)


def _status(error: Exception) -> int:
    if isinstance(error, BadInput | CatalogError):
        return 400
    if isinstance(error, NotAllowed):
        return 403
    return 503 if isinstance(error, StoreError | BrokerUnreachable) else 500


HANDLED = (Problem, HeraldError, HTTPException, Exception)
"""What `answer` is registered for."""
