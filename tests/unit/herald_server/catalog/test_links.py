"""Links of tasks, as they stand in `herald.toml`."""

from pathlib import Path

import pytest

from herald_core.errors import InvalidInput
from herald_server.catalog.links import TaskLink, read_links


def read(tmp_path: Path, text: str) -> tuple[TaskLink, ...]:
    path = tmp_path / "herald.toml"
    path.write_text(text)
    return read_links(path)


def test_links_keep_their_order(tmp_path: Path) -> None:
    text = '[links]\nLogs = "https://logs/?q={id}"\nSentry = "https://s/{name}"\n'
    assert read(tmp_path, text) == (
        TaskLink("Logs", "https://logs/?q={id}"),
        TaskLink("Sentry", "https://s/{name}"),
    )
    assert read(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('Logs = "http://logs/{id}"', "begins with"),
        ('Logs = "javascript:alert(1)"', "begins with"),
        ("Logs = 3", "begins with"),
        ('Logs = "https://{worker}/x"', "name its host"),
        ('Logs = "https://logs/{password}"', "has {password}; there are id"),
        ('"" = "https://logs/"', "1 to 40 characters"),
    ],
)
def test_a_wrong_link_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, f"[links]\n{line}\n")
    with pytest.raises(InvalidInput, match="must be a table"):
        read(tmp_path, "links = 3")
