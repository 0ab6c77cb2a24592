"""The MCP clients that Herald can be added to. Pure.

Sources: the clients' own documentation of their files, as of 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

Entry = dict[str, Any]


class Server(NamedTuple):
    """How Herald is reached: at a `url` with a token, or by a `command`."""

    url: str | None = None
    token: str | None = None
    """None: the client reads the environment variable HERALD_TOKEN."""
    command: str = "herald"
    args: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}


class McpClient(NamedTuple):
    """A client: its files of the user and of a project, and the form of an entry."""

    title: str
    key: str
    user_file: str
    project_file: str | None
    make_entry: Callable[[Server, str], Entry]
    variable: str = "${HERALD_TOKEN}"
    takes_url: bool = True


def _make_headers(server: Server, variable: str) -> dict[str, str]:
    token = variable if server.token is None else server.token
    return {"Authorization": f"Bearer {token}", **server.headers}


def _make_command(server: Server) -> Entry:
    return {"command": server.command, "args": list(server.args)}


def _make_typed(server: Server, variable: str) -> Entry:
    if server.url is None:
        return {"type": "stdio", **_make_command(server)}
    headers = _make_headers(server, variable)
    return {"type": "http", "url": server.url, "headers": headers}


def _make_plain(url_key: str) -> Callable[[Server, str], Entry]:
    def make(server: Server, variable: str) -> Entry:
        if server.url is None:
            return _make_command(server)
        return {url_key: server.url, "headers": _make_headers(server, variable)}

    return make


CLIENTS: dict[str, McpClient] = {
    "claude-code": McpClient(
        "Claude Code", "mcpServers", ".claude.json", ".mcp.json", _make_typed
    ),
    "claude-desktop": McpClient(
        "Claude Desktop",
        "mcpServers",
        "{config}/Claude/claude_desktop_config.json",
        None,
        _make_plain("url"),
        takes_url=False,
    ),
    "cursor": McpClient(
        "Cursor",
        "mcpServers",
        ".cursor/mcp.json",
        ".cursor/mcp.json",
        _make_plain("url"),
        "${env:HERALD_TOKEN}",
    ),
    "vscode": McpClient(
        "VS Code",
        "servers",
        "{config}/Code/User/mcp.json",
        ".vscode/mcp.json",
        _make_typed,
        "${env:HERALD_TOKEN}",
    ),
    "windsurf": McpClient(
        "Windsurf",
        "mcpServers",
        ".codeium/windsurf/mcp_config.json",
        None,
        _make_plain("serverUrl"),
        "${env:HERALD_TOKEN}",
    ),
    "gemini": McpClient(
        "Gemini CLI",
        "mcpServers",
        ".gemini/settings.json",
        ".gemini/settings.json",
        _make_plain("httpUrl"),
        "$HERALD_TOKEN",
    ),
}


def find_file(
    client: McpClient,
    project: Path | None,
    home: Path,
    platform: str,
    environment: Mapping[str, str],
) -> Path | None:
    """Return the configuration file; None if the client has none for projects."""
    if project is not None:
        named = client.project_file
        return None if named is None else project / PurePath(named)
    config = find_config_directory(home, platform, environment)
    return home / client.user_file.format(config=config)


def find_config_directory(
    home: Path, platform: str, environment: Mapping[str, str]
) -> Path:
    """Return where programs keep their configuration on this system."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
