"""Log lines of a server process."""

from __future__ import annotations

import logging

from herald_core.system import logs


def log_to_stderr(level: str) -> None:
    """Configure logging to standard error."""
    logs.configure(level)
    # Each request of an MCP client would be a line.
    for chatty in ("httpx", "mcp", "fastmcp", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(
            max(logging.WARNING, logging.getLogger().level)
        )
