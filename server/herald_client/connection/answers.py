"""What becomes of the answer to a request. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from herald_client.connection.error_messages import make_problem
from herald_client.connection.url import ServerUrl
from herald_client.errors import Unreachable
from herald_client.requests.request import Request

STALE_HEADER = "herald-stale-since"
"""Header of an answer that may be outdated: since when, or `unknown`."""

TIMEOUT_S = 30.0
"""Seconds for a request and its answer."""

WAIT_TIMEOUT_S = 75.0
"""The same for a long poll, which takes up to a minute."""

STREAM_TIMEOUT_S = 300.0
"""Seconds between two pieces of a stream: a search may find nothing for long."""

KEEP_ALIVE_S = 4.0
"""Less than the 5 s after which the server closes a connection without requests."""

UNAUTHENTICATED = 401

T = TypeVar("T")


class AnswerReader:
    """Decodes answers of the server at `address`.

    `notify` is called once with a message if an answer may be outdated.
    """

    def __init__(
        self, address: ServerUrl, notify: Callable[[str], None] | None = None
    ) -> None:
        self._server_url = address
        self._notify = notify

    def read(
        self, request: Request[T], status: int, headers: Mapping[str, str], body: bytes
    ) -> T:
        """Return the answer. Raises `ServerProblem`, `AccessRefused`, `Unreachable`."""
        self._report_age(headers)
        if not request.is_success(status):
            raise make_problem(self._server_url, status, body)
        try:
            return msgspec.json.decode(body, type=request.answer)
        except msgspec.MsgspecError:
            # A problem document with a status that is also good, or no Herald.
            if status != 200:
                raise make_problem(self._server_url, status, body) from None
            raise Unreachable(
                f"what answers at {self._server_url.url} is no Herald, or one of "
                "another version; check HERALD_URL"
            ) from None

    def check_stream(self, status: int, body: bytes) -> None:
        """Raise the error of an answer to a stream that is none."""
        if status != 200:
            raise make_problem(self._server_url, status, body)

    def _report_age(self, headers: Mapping[str, str]) -> None:
        since = headers.get(STALE_HEADER)
        if since is None or self._notify is None:
            return
        notify, self._notify = self._notify, None
        known = "" if since == "unknown" else f" since {since}"
        notify(f"this may be outdated: Herald has not been up to date{known}")


def find_timeout(request: Request[T]) -> float:
    """Return the seconds that a request may take."""
    return WAIT_TIMEOUT_S if request.path.endswith("/wait") else TIMEOUT_S
