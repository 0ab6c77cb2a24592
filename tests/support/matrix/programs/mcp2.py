"""The `mcp` package 2.x."""

import asyncio
from typing import Any

import httpx2
from journey import ERA, STDIO, URL, read_text, travel
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from oauth import make_auth, make_headers


async def main() -> None:
    """Run the journey."""
    timeout = httpx2.Timeout(30, read=300)
    async with httpx2.AsyncClient(
        headers=make_headers(), auth=make_auth(), timeout=timeout, trust_env=False
    ) as http:
        if STDIO:
            command = StdioServerParameters(command=STDIO[0], args=STDIO[1:])
            transport: Any = stdio_client(command)
        else:
            transport = streamable_http_client(URL, http_client=http)
        async with Client(transport, mode=ERA) as client:

            async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result.content
                return result.structured_content or read_text(result.content)

            async def list_tools() -> Any:
                return (await client.list_tools()).tools

            await travel(call, list_tools)


asyncio.run(main())
