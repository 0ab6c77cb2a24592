"""The client of fastmcp."""

import asyncio
import contextlib
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StdioTransport
from journey import ERA, STDIO, TOKEN, URL, travel


class Headless(OAuth):
    """A user who agrees at once: the browser is an HTTP client."""

    async def redirect_handler(self, authorization_url: str) -> None:
        async def visit() -> None:
            await self._wait_for_callback_server()
            async with httpx2.AsyncClient(trust_env=False) as browser:
                await browser.get(authorization_url, follow_redirects=True)

        self._visiting = asyncio.create_task(visit())

    async def _wait_for_callback_server(self) -> None:
        """Wait until it listens: it starts after this handler has returned."""
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(
                    "localhost", self.redirect_port
                )
                writer.close()
                return
            await asyncio.sleep(0.01)


async def main() -> None:
    """Run the journey."""
    if STDIO:
        client: Any = Client(StdioTransport(STDIO[0], STDIO[1:]), mode=ERA)
    else:
        client = Client(URL, auth=TOKEN or Headless(), mode=ERA)
    async with client:

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            found: dict[str, Any] = result.structured_content
            return found

        await travel(call, client.list_tools)


asyncio.run(main())
