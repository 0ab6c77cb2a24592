"""One request over HTTP at a time, without threads: h11 on asyncio's streams.

Proxies of the environment are not used: a Herald is near.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlencode

import h11
import msgspec

from herald_server.client.address import Address
from herald_server.client.errors import Unreachable
from herald_server.client.sentences import problem, unreachable, why

STALE_SINCE = b"herald-stale-since"
"""Header of an answer that may be outdated: since when, or `unknown`."""

TIMEOUT = 30.0
CHUNK = 65_536

T = TypeVar("T")
Query = Mapping[str, object]
_NOTHING: Query = {}


class Rest:
    """The HTTP side of a Herald. Each request has a connection of its own.

    `tell` is called once with a sentence if an answer may be outdated.
    """

    def __init__(
        self,
        address: Address,
        timeout: float = TIMEOUT,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._tell = tell

    async def get(
        self, path: str, type_: type[T], query: Query = _NOTHING, also: int = 200
    ) -> T:
        """Return what lies at `path`, read as `type_`; `also` is a status like 200."""
        asked = {k: v for k, v in query.items() if v is not None}
        target = path + (f"?{urlencode(asked, doseq=True)}" if asked else "")
        status, body = await self._ask("GET", target, None)
        if status not in (200, also):
            raise problem(self._address, status, body)
        return self._read(body, type_, status)

    async def post(
        self, path: str, said: Mapping[str, object], type_: type[T], also: int = 200
    ) -> T:
        """Send `said` to `path` and return the answer, read as `type_`.

        `also` is a status like 200.
        """
        status, body = await self._ask("POST", path, msgspec.json.encode(said))
        if status not in (200, 201, 202, also):
            raise problem(self._address, status, body)
        return self._read(body, type_, status)

    async def delete(self, path: str, type_: type[T]) -> T:
        """Delete what lies at `path` and return the answer, read as `type_`."""
        status, body = await self._ask("DELETE", path, None)
        if status != 200:
            raise problem(self._address, status, body)
        return self._read(body, type_, status)

    def _read(self, body: bytes, type_: type[T], status: int) -> T:
        try:
            return msgspec.json.decode(body, type=type_)
        except msgspec.MsgspecError:
            # A problem document with a status that is also good, or no Herald.
            if status != 200:
                raise problem(self._address, status, body) from None
            raise Unreachable(
                f"what answers at {self._address.url} is no Herald, or one of "
                "another version; check HERALD_URL"
            ) from None

    async def _ask(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(method, path, body)
        except (OSError, h11.RemoteProtocolError) as error:
            raise unreachable(self._address, why(error)) from error

    async def _exchange(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        address = self._address
        context = ssl.create_default_context() if address.secure else None
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=context
        )
        try:
            line = h11.Connection(h11.CLIENT)
            writer.write(_written(line, address, method, path, body))
            response, said = await _answer(line, reader)
            self._mind_age(response)
            return response.status_code, said
        finally:
            # All is read, or of no use: no goodbye to wait for.
            writer.transport.abort()

    def _mind_age(self, response: h11.Response) -> None:
        since = dict(response.headers).get(STALE_SINCE)
        if since is None or self._tell is None:
            return
        tell, self._tell = self._tell, None
        known = (
            "" if since == b"unknown" else f" since {since.decode('ascii', 'replace')}"
        )
        tell(f"this may be outdated: Herald has not been up to date{known}")


def _written(
    line: h11.Connection, address: Address, method: str, path: str, body: bytes | None
) -> bytes:
    headers = [
        ("Host", address.netloc),
        ("Accept", "application/json"),
        ("Connection", "close"),
        *address.headers,
    ]
    if body is not None:
        headers += [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]
    request = h11.Request(method=method, target=address.path + path, headers=headers)
    said = line.send(request) or b""
    if body is not None:
        said += line.send(h11.Data(data=body)) or b""
    return said + (line.send(h11.EndOfMessage()) or b"")


async def _answer(
    line: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Response, bytes]:
    response, body = h11.Response(status_code=500, headers=[]), bytearray()
    while True:
        event = line.next_event()
        if event is h11.NEED_DATA:
            line.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return response, bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("it hung up without an answer")
