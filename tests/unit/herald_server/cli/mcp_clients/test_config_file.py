"""A configuration keeps what it holds."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from herald_server.cli.mcp_clients.config_file import (
    ConfigFileError,
    add_entry,
    read_config,
    write_config,
)

ENTRY = {"command": "herald"}


def test_an_entry_is_added_beside_all_others() -> None:
    known: dict[str, Any] = {"theme": "dark", "mcpServers": {"other": {"url": "x"}}}
    assert add_entry(known, "mcpServers", "herald", ENTRY, replace=False) == {
        "theme": "dark",
        "mcpServers": {"other": {"url": "x"}, "herald": ENTRY},
    }


def test_another_entry_of_that_name_is_replaced_only_if_asked() -> None:
    known: dict[str, Any] = {"mcpServers": {"herald": {"command": "mine"}}}
    with pytest.raises(ConfigFileError, match="another server has the name 'herald'"):
        add_entry(known, "mcpServers", "herald", ENTRY, replace=False)
    again = add_entry(known, "mcpServers", "herald", ENTRY, replace=True)
    assert again == {"mcpServers": {"herald": ENTRY}}
    assert add_entry(again, "mcpServers", "herald", ENTRY, replace=False) == again


@pytest.mark.parametrize("text", ['{"a": 1} // mine', "[]", "{"])
def test_what_could_not_be_written_back_is_left_alone(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match="nothing was written"):
        read_config(path)
    assert path.read_text() == text


def test_servers_that_are_no_object_are_left_alone() -> None:
    with pytest.raises(ConfigFileError, match="'mcpServers' is no object"):
        add_entry({"mcpServers": []}, "mcpServers", "herald", ENTRY, replace=True)


def test_the_old_file_is_kept_and_its_mode_too(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"a": "ü"}')
    path.chmod(0o640)
    backup = write_config(path, {"a": "ü", "b": 2}, "20260131-120000")
    assert backup is not None
    assert backup == tmp_path / "mcp.json.20260131-120000.backup"
    assert backup.read_text() == '{"a": "ü"}'
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert json.loads(path.read_text()) == {"a": "ü", "b": 2}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mcp.json"
    assert read_config(path) == {}
    assert write_config(path, {"a": 1}, "x") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles.json", tmp_path / "mcp.json"
    target.write_text("{}")
    link.symlink_to(target)
    write_config(link, {"a": 1}, "x")
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"a": 1}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigFileError, match="cannot be written"):
        write_config(tmp_path / "file" / "mcp.json", {}, "x")
