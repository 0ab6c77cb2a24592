"""langchain-mcp-adapters."""

import asyncio
import json
from typing import Any

from journey import STDIO, TOKEN, URL, read_text, travel
from langchain_mcp_adapters.client import MultiServerMCPClient
from oauth import make_auth, make_headers


async def main() -> None:
    """Run the journey."""
    if STDIO:
        how: dict[str, Any] = {
            "transport": "stdio",
            "command": STDIO[0],
            "args": STDIO[1:],
        }
    else:
        how = {"transport": "streamable_http", "url": URL, "headers": make_headers()}
        if not TOKEN:
            how["auth"] = make_auth()
    client = MultiServerMCPClient({"herald": how})
    tools = {tool.name: tool for tool in await client.get_tools()}

    async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found: Any = await tools[name].ainvoke(arguments)
        if isinstance(found, str):
            told: dict[str, Any] = json.loads(found)
            return told
        return read_text(found)

    async def list_tools() -> Any:
        return list(tools)

    await travel(call, list_tools)


asyncio.run(main())
