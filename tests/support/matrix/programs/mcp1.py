"""The `mcp` package 1.x."""

import asyncio
from typing import Any

from journey import STDIO, URL, read_text, travel
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from oauth import make_auth, make_headers


async def main() -> None:
    """Run the journey."""
    if STDIO:
        transport: Any = stdio_client(
            StdioServerParameters(command=STDIO[0], args=STDIO[1:])
        )
    else:
        transport = streamablehttp_client(URL, headers=make_headers(), auth=make_auth())
    async with transport as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await session.call_tool(name, arguments)
            assert not result.isError, result.content
            return result.structuredContent or read_text(result.content)

        async def list_tools() -> Any:
            return (await session.list_tools()).tools

        await travel(call, list_tools)


asyncio.run(main())
