"""The command line of the Inspector, a process for each call."""

import asyncio
import json
import os
from typing import Any

from journey import ERA, STDIO, TOKEN, URL, read_text, travel

PROGRAM = json.loads(os.environ["INSPECTOR"])


async def ask(*words: str) -> dict[str, Any]:
    """Run the program; return the JSON that it prints."""
    place = STDIO or [URL, "--transport", "http"]
    options = ["--protocol-era", "modern"] if ERA != "legacy" else []
    if TOKEN and not STDIO:
        options += ["--header", f"Authorization: Bearer {TOKEN}"]
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "--cli", *place, *options, *words, stdout=-1, stderr=-1
    )
    said, wrong = await process.communicate()
    assert not process.returncode, (wrong or said).decode()[-500:]
    found: dict[str, Any] = json.loads(said)
    return found


async def main() -> None:
    """Run the journey."""

    async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        given: list[str] = []
        for key, value in arguments.items():
            text = value if isinstance(value, str) else json.dumps(value)
            given += ["--tool-arg", f"{key}={text}"]
        told = await ask("--method", "tools/call", "--tool-name", name, *given)
        told = told.get("result", told)
        return told.get("structuredContent") or read_text(told["content"])

    async def list_tools() -> Any:
        told = await ask("--method", "tools/list")
        return told.get("result", told)["tools"]

    await travel(call, list_tools)


asyncio.run(main())
