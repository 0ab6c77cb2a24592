"""Support MCP clients that accept JSON or an event stream, but do not list both.

The SDK's transport responds 406 to a POST whose `Accept` does not list both types. Its
response is an event stream; a client that accepts only JSON gets the one message in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from mcp.server.streamable_http import check_accept_headers
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import Message, Scope, Send

BOTH_MEDIA_TYPES = "application/json, text/event-stream"
EVENT_STREAM = b"text/event-stream"


def accept_either(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Return `scope` and `send` with which the SDK accepts any useful `Accept`.

    A client without `Accept` accepts anything (RFC 9110 §12.5.1). One that accepts
    neither type is refused by the SDK.
    """
    if not Headers(scope=scope).get("accept"):
        return _set_accept(scope), send
    has_json, has_sse = check_accept_headers(Request(scope))
    if scope["method"] != "POST" or has_json is has_sse:
        return scope, send
    return _set_accept(scope), send if has_sse else JsonOnlySend(send)


def _set_accept(scope: Scope) -> Scope:
    changed = {**scope, "headers": list(scope["headers"])}
    MutableHeaders(scope=changed)["accept"] = BOTH_MEDIA_TYPES
    return changed


class JsonOnlySend:
    """Sends the JSON-RPC response of an event stream as JSON; all else unchanged."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message."""
        if message["type"] == "http.response.start" and _is_stream(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body = find_response(bytes(self._body))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-type"] = "application/json"
        headers["content-length"] = str(len(body))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _is_stream(start: Message) -> bool:
    kinds = dict(start["headers"]).get(b"content-type", b"")
    return bytes(kinds).startswith(EVENT_STREAM)


def find_response(stream: bytes) -> bytes:
    """Return the JSON-RPC response in an event stream; empty if it holds none."""
    for data in read_events(stream):
        message = json.loads(data)
        if isinstance(message, dict) and ("result" in message or "error" in message):
            return data
    return b""


def read_events(stream: bytes) -> Iterator[bytes]:
    """Yield the data of each event that has any (HTML Standard §9.2.6)."""
    for event in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line for line in event.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines)
        if data:
            yield data
