"""Where MCP clients keep their configuration, and in which form."""

from pathlib import Path

import pytest

from herald_server.cli.mcp_clients.clients import CLIENTS, Server, find_file

HOME = Path("/home/ann")
WEB = Server(url="https://herald.example/mcp")
LOCAL = Server(command="/bin/herald", args=("mcp", "--read-only"))


@pytest.mark.parametrize(
    ("client", "platform", "file"),
    [
        ("claude-code", "linux", ".claude.json"),
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        (
            "claude-desktop",
            "darwin",
            "Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("vscode", "win32", "AppData/Roaming/Code/User/mcp.json"),
        ("cursor", "linux", ".cursor/mcp.json"),
    ],
)
def test_the_file_of_a_user(client: str, platform: str, file: str) -> None:
    found = find_file(CLIENTS[client], None, HOME, platform, {})
    assert found == HOME / file


def test_the_environment_moves_the_configuration() -> None:
    moved = {"XDG_CONFIG_HOME": "/etc/ann"}
    found = find_file(CLIENTS["vscode"], None, HOME, "linux", moved)
    assert found == Path("/etc/ann/Code/User/mcp.json")


def test_the_file_of_a_project() -> None:
    here = Path("/src/shop")
    found = {
        name: find_file(one, here, HOME, "linux", {}) for name, one in CLIENTS.items()
    }
    assert found["claude-code"] == here / ".mcp.json"
    assert found["vscode"] == here / ".vscode/mcp.json"
    assert found["claude-desktop"] is None


def test_an_entry_names_a_variable_and_no_secret() -> None:
    made = {n: one.make_entry(WEB, one.variable) for n, one in CLIENTS.items()}
    assert made["claude-code"] == {
        "type": "http",
        "url": "https://herald.example/mcp",
        "headers": {"Authorization": "Bearer ${HERALD_TOKEN}"},
    }
    assert made["vscode"]["headers"] == {"Authorization": "Bearer ${env:HERALD_TOKEN}"}
    assert made["gemini"]["httpUrl"] == made["windsurf"]["serverUrl"] == WEB.url


def test_an_entry_of_a_command() -> None:
    plain = {"command": "/bin/herald", "args": ["mcp", "--read-only"]}
    made = {n: one.make_entry(LOCAL, one.variable) for n, one in CLIENTS.items()}
    assert made["claude-desktop"] == made["cursor"] == made["gemini"] == plain
    assert made["claude-code"] == made["vscode"] == {"type": "stdio", **plain}
