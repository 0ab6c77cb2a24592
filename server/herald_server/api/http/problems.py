"""Errors over HTTP as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from herald_core.errors import (
    HeraldError,
    InvalidInput,
    InvalidQuery,
    StoreError,
    UnsupportedByBroker,
)
from herald_core.model.codec import to_json
from herald_server.api.http.challenges import make_scope_challenge
from herald_server.auth.identity import MissingScope, PermissionDenied
from herald_server.auth.quotas.start_limits import QuotaExceeded
from herald_server.catalog.catalog import CatalogError
from herald_server.control.control import BrokerUnreachable

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that cannot be served: a status and a message."""

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


def make_problem_response(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """Return a problem document with `detail`; `more` are additional members."""
    body = {
        **(more or {}),
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(to_json(body), status, headers, media_type=MEDIA_TYPE)


async def handle_error(request: Request, error: Exception) -> Response:
    """Return the problem document of an error that a route raised."""
    if isinstance(error, Problem):
        if error.status == 413:
            request.app.state.shared.metrics.count_refusal("body")
        return make_problem_response(
            error.status, str(error), error.headers, error.more
        )
    if isinstance(error, HTTPException):
        return make_problem_response(
            error.status_code,
            _describe_error(request, error),
            dict(error.headers or {}),
        )
    if isinstance(error, QuotaExceeded):
        return make_problem_response(
            429, str(error), {"Retry-After": str(error.retry_after_s)}
        )
    if isinstance(error, InvalidQuery):
        more = {"position": error.position, "suggestion": error.suggestion}
        return make_problem_response(400, str(error), more=more)
    if isinstance(error, MissingScope):
        challenge = make_scope_challenge(request.scope, error.scope, str(error))
        return make_problem_response(403, str(error), challenge)
    if isinstance(error, HeraldError):
        return make_problem_response(_choose_status(error), str(error))
    return make_problem_response(500, "Herald failed at this; its log says more")


def _describe_error(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"there is nothing at {request.url.path}"
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}"
    return str(error.detail)


def _choose_status(error: Exception) -> int:
    if isinstance(error, InvalidInput | CatalogError):
        return 400
    if isinstance(error, PermissionDenied):
        return 403
    if isinstance(error, UnsupportedByBroker):
        return 501
    return 503 if isinstance(error, StoreError | BrokerUnreachable) else 500


HANDLED_ERRORS = (Problem, HeraldError, HTTPException, Exception)
"""What `answer` is registered for."""
