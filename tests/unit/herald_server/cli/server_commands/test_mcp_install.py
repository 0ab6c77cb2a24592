"""`herald mcp install` shows, asks, keeps a copy, writes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from herald_server.cli.server_commands.mcp import mcp

URL = "http://127.0.0.1:8787/mcp"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home directory of the user, in which the command runs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str, said: str = "") -> Result:
    """Run `herald mcp install`."""
    return CliRunner().invoke(mcp, ["install", *args], input=said)


def test_nothing_is_written_unless_the_user_agrees(home: Path) -> None:
    done = run("cursor", "--url", URL, said="n\n")
    assert str(home / ".cursor/mcp.json") in done.output
    assert URL in done.output
    assert "Nothing was written." in done.output
    assert not (home / ".cursor").exists()


def test_an_entry_is_written_once(home: Path) -> None:
    first = run("cursor", "--url", URL, "--yes")
    again = run("cursor", "--url", URL, "--yes")
    path = home / ".cursor/mcp.json"
    assert json.loads(path.read_text())["mcpServers"]["herald"]["url"] == URL
    assert "Written." in first.output
    assert "It is there already" in again.output
    assert [one.name for one in path.parent.iterdir()] == ["mcp.json"]


def test_a_token_is_written_but_not_shown(home: Path) -> None:
    done = run("vscode", "--url", URL, "--token", "t0p-secret", "--project", "--yes")
    written = (home / ".vscode/mcp.json").read_text()
    assert "t0p-secret" in written
    assert "t0p-secret" not in done.output


def test_a_command_gets_the_options_after_the_dashes(home: Path) -> None:
    done = run("claude-desktop", "--yes", "--", "--read-only", "--store", "redis://h/0")
    path = home / ".config/Claude/claude_desktop_config.json"
    assert done.exit_code == 0
    entry = json.loads(path.read_text())["mcpServers"]["herald"]
    assert entry["args"] == ["mcp", "--read-only", "--store", "redis://h/0"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["claude-desktop", "--url", URL], "starts its servers itself"),
        (["windsurf", "--project"], "has no file for a project"),
        (["cursor", "--token", "t"], "--token goes with --url"),
        (["cursor", "--url", URL, "--", "--read-only"], "go without --url"),
        (["emacs"], "is not one of"),
    ],
)
def test_what_does_not_fit_is_refused(
    home: Path, args: list[str], sentence: str
) -> None:
    done = run(*args)
    assert done.exit_code == 2
    assert sentence in done.output
    assert not list(home.iterdir())
