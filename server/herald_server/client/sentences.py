"""Sentences for what went wrong on the way to a Herald. Pure."""

from __future__ import annotations

import os
import re
from http import HTTPStatus

import msgspec

from herald_server.client.address import Address
from herald_server.client.errors import (
    ConfirmationNeeded,
    Refused,
    ServerProblem,
    Unreachable,
)

UNAUTHENTICATED = (401, 4401, 4408)
REFUSED = (401, 403, 421)

_ERRNO = re.compile(r"\[Errno (\d+)\]")


class _Problem(msgspec.Struct):
    """A problem document (RFC 9457), as far as we read it."""

    detail: str = ""
    confirmation: str = ""


def unreachable(address: Address, why: object) -> Unreachable:
    """Return the error for a Herald that does not answer, and `why`."""
    return Unreachable(
        f"no Herald answers at {address.url} ({why}); is it running, "
        "and is HERALD_URL right?"
    )


def why(error: BaseException) -> str:
    """Return the reason of an I/O error, without numbers and class names."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    # asyncio joins the errors of a name's several addresses into one text.
    number = _ERRNO.search(str(error))
    if number:
        return os.strerror(int(number[1])).lower()
    return str(error).rstrip(".") or type(error).__name__


def refused(address: Address, code: int, reason: str) -> Refused:
    """Return the error for a server that turned us away."""
    if code in UNAUTHENTICATED and not reason.startswith("the token"):
        how = (
            "does not know this token" if address.token else "wants to be told a token"
        )
        return Refused(
            f"the Herald at {address.url} {how}; give --token or set HERALD_TOKEN",
            code,
        )
    said = reason or f"code {code}"
    return Refused(f"the Herald at {address.url} refuses: {said}", code)


def problem(
    address: Address, status: int, body: bytes | None
) -> Refused | ServerProblem:
    """Return the error for an answer over HTTP that is none of success."""
    told = _told(body or b"")
    detail = told.detail
    if status in REFUSED:
        return refused(address, status, detail)
    if told.confirmation:
        return ConfirmationNeeded(detail, status, told.confirmation)
    if detail:
        return ServerProblem(detail, status)
    known = status in set(HTTPStatus)
    phrase = f" {HTTPStatus(status).phrase}" if known else ""
    return ServerProblem(
        f"{address.url} answers {status}{phrase}; is that the URL of a Herald?", status
    )


def _told(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem()
