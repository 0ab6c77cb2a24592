"""openai-agents, whose calls end after 5 s by default; an agent calls again."""

import asyncio
import time
from typing import Any

from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from journey import STDIO, TOKEN, URL, read_text, travel
from oauth import make_auth, make_headers

PATIENCE_S = 120


async def main() -> None:
    """Run the journey."""
    if STDIO:
        server: Any = MCPServerStdio({"command": STDIO[0], "args": STDIO[1:]})
    else:
        how: dict[str, Any] = {"url": URL, "headers": make_headers()}
        if not TOKEN:
            how["auth"] = make_auth()
        server = MCPServerStreamableHttp(how)
    async with server:

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            until = time.monotonic() + PATIENCE_S
            while True:
                try:
                    result = await server.call_tool(name, arguments)
                    break
                except Exception as error:  # the model is told, and calls again
                    is_late = "imed out" in str(error)
                    if not is_late or time.monotonic() > until:
                        raise
            told = result.model_dump(by_alias=True)
            assert not told.get("isError"), told["content"]
            return told.get("structuredContent") or read_text(told["content"])

        await travel(call, server.list_tools)


asyncio.run(main())
