"""The pages with a generated part, and what writes it."""

import asyncio
from collections.abc import Callable

from herald_core.settings import MonitorSettings
from herald_server.mcp.reference import write_reference as write_mcp_tools
from herald_server.wiring.settings import ServerSettings
from tests.support.environment import ROOT
from tests.support.reference.errors import write_statuses
from tests.support.reference.http import write_routes
from tests.support.reference.metrics import write_metrics
from tests.support.reference.settings import write_settings
from tests.support.reference.toml import write_tables
from tests.support.reference.websocket import write_messages

DOCS = ROOT / "server/docs/reference"

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "errors.md": {"statuses": write_statuses},
    "herald-toml.md": {"tables": write_tables},
    "http.md": {"routes": write_routes},
    "mcp.md": {"tools": lambda: asyncio.run(write_mcp_tools())},
    "metrics.md": {"metrics": write_metrics},
    "monitor-settings.md": {"settings": lambda: write_settings(MonitorSettings)},
    "settings.md": {"settings": lambda: write_settings(ServerSettings)},
    "websocket.md": {"messages": write_messages},
}
"""By page, the names of its marks, and what writes the text between them."""


def write_page(page: str) -> str:
    """Return `page` as it should be. Raises `ValueError` if a mark is missing."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, write in PAGES[page].items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page} has no place {begin} … {end}")
        text = f"{before}{begin}\n{write().strip()}\n{end}{after}"
    return text
