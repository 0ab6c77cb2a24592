"""The client of fastmcp."""

import asyncio
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
            await asyncio.sleep(1)  # its callback server starts only now
            async with httpx2.AsyncClient(trust_env=False) as browser:
                await browser.get(authorization_url, follow_redirects=True)

        self._visiting = asyncio.create_task(visit())


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
