"""What a request carries: one JSON object, of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
from starlette.requests import ClientDisconnect, Request

from herald_monitor.errors import BadInput
from herald_server.problems import Problem

MAX_BODY = 262_144


async def json_object(request: Request, *, empty: bool = False) -> Mapping[str, object]:
    """Return the JSON object in the body; none at all is `{}` if `empty` may be.

    Raises `BadInput`, `Problem`.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise Problem(413, f"a body is at most {MAX_BODY} bytes")
    except ClientDisconnect:
        raise BadInput("the body did not come whole") from None
    if empty and not body:
        return {}
    try:
        said = msgspec.json.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadInput("the body must be one JSON object") from None
    if not isinstance(said, dict):
        raise BadInput("the body must be one JSON object")
    return cast("dict[str, object]", said)
