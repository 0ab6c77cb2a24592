"""Error messages for failed requests and connections. Pure."""

from __future__ import annotations

import os
import re
from http import HTTPStatus

import msgspec

from herald_client.connection.url import ServerUrl
from herald_client.errors import (
    AccessRefused,
    ConfirmationNeeded,
    ServerProblem,
    Unreachable,
)

UNAUTHENTICATED_CODES = (401, 4401, 4408)
REFUSED_STATUSES = (401, 403, 421)

_ERRNO = re.compile(r"\[Errno (\d+)\]")


class _Problem(msgspec.Struct):
    """A problem document (RFC 9457), as far as it is used."""

    detail: str = ""
    confirmation: str = ""


def make_unreachable(address: ServerUrl, why: object) -> Unreachable:
    """Return the error for a server that does not answer, with the reason `why`."""
    return Unreachable(
        f"no Herald answers at {address.url} ({why}); is it running, "
        "and is HERALD_URL right?"
    )


def describe_error(error: BaseException) -> str:
    """Return the reason of an I/O error, without numbers and class names."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    error = _find_cause(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    # asyncio joins the errors of a name's several addresses into one text.
    number = _ERRNO.search(str(error))
    if number:
        return os.strerror(int(number[1])).lower()
    return str(error).rstrip(".") or type(error).__name__


def _find_cause(error: BaseException) -> BaseException:
    """Return the error, of the operating system mostly, that a library translated."""
    grouped: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    inner = grouped[0] if grouped else error.__cause__ or error.__context__
    return _find_cause(inner) if inner else error


def make_refused(address: ServerUrl, code: int, reason: str) -> AccessRefused:
    """Return the error for a server that refused the connection."""
    if code in UNAUTHENTICATED_CODES and not reason.startswith("the token"):
        how = "does not know this token" if address.token else "needs a token"
        return AccessRefused(
            f"the Herald at {address.url} {how}; give --token or set HERALD_TOKEN",
            code,
        )
    why = reason or f"code {code}"
    return AccessRefused(f"the Herald at {address.url} refuses: {why}", code)


def make_problem(
    address: ServerUrl, status: int, body: bytes | None
) -> AccessRefused | ServerProblem:
    """Return the error for an HTTP response without success."""
    problem = _parse_problem(body or b"")
    detail = problem.detail
    if status in REFUSED_STATUSES:
        return make_refused(address, status, detail)
    if problem.confirmation:
        return ConfirmationNeeded(detail, status, problem.confirmation)
    if detail:
        return ServerProblem(detail, status)
    known = status in set(HTTPStatus)
    phrase = f" {HTTPStatus(status).phrase}" if known else ""
    return ServerProblem(
        f"{address.url} answers {status}{phrase}; is that the URL of a Herald?", status
    )


def _parse_problem(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem()
