"""Settings in files: `HERALD_TOKEN_FILE`."""

from pathlib import Path

import pytest

from herald_core.errors import InvalidInput
from herald_core.settings import MonitorSettings
from herald_core.system.setting_files import MAX_FILE_BYTES, read_setting_files


def test_a_file_holds_the_value_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("redis://:s ecret@h/0\r\n")
    env = {"HERALD_STORE_URL_FILE": str(path), "HERALD_NODE_FILE": ""}
    found = read_setting_files(["store_url", "node"], "HERALD_", env)
    assert found == {"store_url": "redis://:s ecret@h/0"}


def test_the_variable_itself_has_precedence(tmp_path: Path) -> None:
    env = {"HERALD_NODE": "m1", "HERALD_NODE_FILE": str(tmp_path / "absent")}
    assert read_setting_files(["node"], "HERALD_", env) == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"\n", "Name a file with the value"),
        (b"\xff", "not utf-8"),
        (b"x" * (MAX_FILE_BYTES + 1), "is too large"),
    ],
)
def test_a_file_without_a_value_gets_a_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "value"
    if content is not None:
        path.write_bytes(content)
    env = {"HERALD_NODE_FILE": str(path)}
    with pytest.raises(InvalidInput, match=rf"^HERALD_NODE_FILE.*{sentence}"):
        read_setting_files(["node"], "HERALD_", env)


def test_settings_are_read_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "redact"
    path.write_text("iban, pin\n")
    monkeypatch.setenv("HERALD_REDACT_FILE", str(path))
    assert MonitorSettings().redact == ("iban", "pin")
    assert MonitorSettings(redact=("given",)).redact == ("given",)
    assert MonitorSettings().to_env({"redact"}) == {"HERALD_REDACT": "iban,pin"}
