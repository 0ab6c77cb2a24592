"""pydantic-ai 2."""

import asyncio
import json
from typing import Any

from fastmcp.client.transports import StdioTransport
from journey import STDIO, TOKEN, URL, travel
from oauth import make_auth, make_headers
from pydantic_ai.mcp import MCPToolset


async def main() -> None:
    """Run the journey."""
    if STDIO:
        toolset: Any = MCPToolset(StdioTransport(STDIO[0], STDIO[1:]))
    elif TOKEN:
        toolset = MCPToolset(URL, headers=make_headers())
    else:
        toolset = MCPToolset(URL, auth=make_auth())
    async with toolset:

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            found: Any = await toolset.direct_call_tool(name, arguments)
            told: dict[str, Any] = (
                json.loads(found) if isinstance(found, str) else dict(found)
            )
            return told

        await travel(call, toolset.list_tools)


asyncio.run(main())
