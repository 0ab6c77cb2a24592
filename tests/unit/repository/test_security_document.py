"""The page on security names a test for each claim, and each of them exists."""

import re

import pytest

from tests.support.environment import DOCS, ROOT

TEXT = (DOCS / "explanation" / "security.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.partition("## Who may do what")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| who ")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:30])
def test_what_stops_somebody_is_tested(row: list[str]) -> None:
    who, _, stopped, tests = row
    assert NAMED.findall(tests) or "nothing stops them" in stopped, who


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("file", "name"), NAMED.findall(TEXT))
def test_each_named_test_exists(file: str, name: str) -> None:
    text = (ROOT / file).read_text()
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file}: {name}"


def test_it_is_linked_and_shipped() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "(server/docs/explanation/security.md)" in readme
    assert "(.github/SECURITY.md)" in readme
    assert '"/server"' in (ROOT / "pyproject.toml").read_text()
