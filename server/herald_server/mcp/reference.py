"""The reference of all tools, written from the tools themselves.

`python -m herald_server.mcp.reference FILE` puts it between the two marks in FILE.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmcp.tools import Tool

from herald_core.store.memory.store import MemoryStore
from herald_server.api.context import ServerContext
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.profiles.toolsets import RIGHTS
from herald_server.mcp.server import build_mcp
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.status import ServerStatus

BEGIN_MARK = "<!-- tools -->"
END_MARK = "<!-- /tools -->"

Schema = Mapping[str, Any]


async def write_reference() -> str:
    """Return the reference as Markdown."""
    store, hub = MemoryStore(), Hub()
    feed = LogReader(store, hub)
    door = build_mcp(
        ServerContext(store, hub, feed, ServerStatus(store, feed)), None, Catalog()
    )
    tools = sorted(await door.list_tools(), key=lambda tool: tool.name)
    return "\n".join([_format_table(tools), *(_format_tool(tool) for tool in tools)])


def find_scope(name: str) -> str:
    """Return the scope that a tool always needs."""
    scopes = RIGHTS[name].scopes
    return min(scopes) if len(scopes) == 1 else "read"


def _format_table(tools: list[Tool]) -> str:
    rows = [
        f"| [`{tool.name}`](#{tool.name}) | `{find_scope(tool.name)}` "
        f"| {_cut_first_sentence(tool)} |"
        for tool in tools
    ]
    return "\n".join(["| tool | scope | what it does |", "|---|---|---|", *rows, ""])


def _cut_first_sentence(tool: Tool) -> str:
    return (tool.description or "").partition("\n")[0]


def _format_tool(tool: Tool) -> str:
    # The text after the docstring is the catalog of one installation.
    description = (tool.description or "").partition(
        "\n\nTask types and their params:"
    )[0]
    answers: Schema = tool.output_schema or {}
    parts = [
        f"## {tool.name}",
        "",
        description,
        "",
        *_format_fields("Takes", tool.parameters),
    ]
    return "\n".join([*parts, *_format_fields("Answers", answers)])


def _format_fields(title: str, schema: Schema) -> list[str]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        return [f"{title} nothing.", ""]
    required = schema.get("required", ()) if title == "Takes" else ()
    rows = [
        f"| `{name}` | {_format_type(one)}{' (needed)' if name in required else ''} "
        f"| {_format_cell(one.get('description', ''))} |"
        for name, one in properties.items()
    ]
    return [f"| {title.lower()} | type | what it is |", "|---|---|---|", *rows, ""]


def _format_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _format_type(schema: Schema) -> str:
    if "anyOf" in schema:
        kinds = [_format_type(one) for one in schema["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    kind = str(schema.get("type", "object" if "$ref" in schema else "any"))
    if kind == "array":
        return f"list of {_format_type(schema.get('items', {}))}"
    return kind


def replace_section(text: str, section: str) -> str:
    """Return `text` with `section` between the marks, which are added if missing."""
    if BEGIN_MARK not in text or END_MARK not in text:
        text = f"{text.rstrip()}\n\n{BEGIN_MARK}\n{END_MARK}\n".lstrip()
    before, _, rest = text.partition(BEGIN_MARK)
    _, _, after = rest.partition(END_MARK)
    return f"{before}{BEGIN_MARK}\n{section.strip()}\n{END_MARK}{after}"


def main(path: Path) -> None:
    """Write the reference into the file at `path`."""
    text = path.read_text("utf-8") if path.exists() else ""
    path.write_text(replace_section(text, asyncio.run(write_reference())), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
