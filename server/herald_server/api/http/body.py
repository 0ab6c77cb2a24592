"""Read request bodies: one JSON object of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
from starlette.requests import ClientDisconnect, Request

from herald_core.errors import InvalidInput
from herald_server.api.http.problems import Problem

MAX_BODY_BYTES = 262_144


async def read_json_object(
    request: Request, *, empty: bool = False
) -> Mapping[str, object]:
    """Return the JSON object in the body; `{}` for an empty body if `empty`.

    Raises `InvalidInput`, `Problem`.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Problem(413, f"a body is at most {MAX_BODY_BYTES} bytes")
    except ClientDisconnect:
        raise InvalidInput("the body did not come whole") from None
    if empty and not body:
        return {}
    try:
        value = msgspec.json.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidInput("the body must be one JSON object") from None
    if not isinstance(value, dict):
        raise InvalidInput("the body must be one JSON object")
    return cast("dict[str, object]", value)
