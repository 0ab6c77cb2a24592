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

from herald_monitor.memory import MemoryStore
from herald_server.catalog import Catalog
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.mcp.door import build_mcp
from herald_server.state import Shared
from herald_server.status import Status

BEGIN = "<!-- tools -->"
END = "<!-- /tools -->"

SCOPES = {
    **{"start": "start", "retry": "start", "cancel": "cancel"},
    "dismiss": "admin",
}
"""The scope that a tool needs, by the first word of its name; all others read."""

Schema = Mapping[str, Any]


async def reference() -> str:
    """Return the reference as Markdown."""
    store, hub = MemoryStore(), Hub()
    feed = Feed(store, hub)
    door = build_mcp(Shared(store, hub, feed, Status(store, feed)), None, Catalog())
    tools = sorted(await door.list_tools(), key=lambda tool: tool.name)
    return "\n".join([_table(tools), *(_tool(tool) for tool in tools)])


def scope_of(name: str) -> str:
    """Return the scope that a tool needs."""
    if "webhook" in name:
        return "admin"
    return SCOPES.get(name.partition("_")[0], "read")


def _table(tools: list[Tool]) -> str:
    rows = [
        f"| [`{tool.name}`](#{tool.name}) | `{scope_of(tool.name)}` | {_first(tool)} |"
        for tool in tools
    ]
    return "\n".join(["| tool | scope | what it does |", "|---|---|---|", *rows, ""])


def _first(tool: Tool) -> str:
    return (tool.description or "").partition("\n")[0]


def _tool(tool: Tool) -> str:
    # What follows the docstring is the catalog of one installation.
    said = (tool.description or "").partition("\n\nTask types and their params:")[0]
    answers: Schema = tool.output_schema or {}
    parts = [f"#### {tool.name}", "", said, "", *_fields("Takes", tool.parameters)]
    return "\n".join([*parts, *_fields("Answers", answers)])


def _fields(title: str, schema: Schema) -> list[str]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        return [f"{title} nothing.", ""]
    required = schema.get("required", ()) if title == "Takes" else ()
    rows = [
        f"| `{name}` | {_type(one)}{' (needed)' if name in required else ''} "
        f"| {_cell(one.get('description', ''))} |"
        for name, one in properties.items()
    ]
    return [f"| {title.lower()} | type | what it is |", "|---|---|---|", *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(schema: Schema) -> str:
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    kind = str(schema.get("type", "object" if "$ref" in schema else "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return kind


def put(text: str, told: str) -> str:
    """Return `text` with `told` between its marks, which are added if missing."""
    if BEGIN not in text or END not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n".lstrip()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{told.strip()}\n{END}{after}"


def main(path: Path) -> None:
    """Write the reference into the file at `path`."""
    text = path.read_text("utf-8") if path.exists() else ""
    path.write_text(put(text, asyncio.run(reference())), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
