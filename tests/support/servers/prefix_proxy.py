"""A reverse proxy that serves a Herald below a path, as nginx does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit


@contextlib.asynccontextmanager
async def behind(url: str, prefix: str, strip: bool) -> AsyncGenerator[str]:
    """Serve what is at `url` below `prefix`; give the URL of that.

    `strip`: the prefix is taken off, as with a slash behind nginx's `proxy_pass`.
    """
    place = urlsplit(url)
    lines: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection(place.hostname, place.port)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            out.write(_passed_on(head, prefix, strip))
            back = asyncio.create_task(_copy(there, writer))
            await _copy(reader, out)
            await back
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            out.close()
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(relay(reader, writer))
        lines.add(task)
        task.add_done_callback(lines.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}{prefix}/"
    finally:
        server.close()
        for task in list(lines):
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)


def _passed_on(head: bytes, prefix: str, strip: bool) -> bytes:
    """Return the head of a request as the server behind gets it."""
    first, _, rest = head.partition(b"\r\n")
    method, path, protocol = first.split(b" ")
    if strip:
        path = path.removeprefix(prefix.encode()) or b"/"
    fields = rest.split(b"\r\n")
    if not any(field.lower().startswith(b"upgrade:") for field in fields):
        # One request a connection, so that only this head is to be changed.
        fields = [f for f in fields if not f.lower().startswith(b"connection:")]
        fields.insert(0, b"Connection: close")
    return b"\r\n".join([b" ".join([method, path, protocol]), *fields])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
