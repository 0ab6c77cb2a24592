"""The table of what silence means in reconciliation.md: each row names a test."""

import re

from tests.support.environment import DOCS, ROOT

TITLE = "**What silence means**"


def test_each_row_names_a_test_that_there_is() -> None:
    text = (DOCS / "explanation" / "reconciliation.md").read_text()
    table = text.split(TITLE)[1].split("\n\n")[1]
    rows = table.splitlines()[2:]
    named = [re.findall(r"`(test_\w+)` \|$", row) for row in rows]
    assert rows
    assert all(len(names) == 1 for names in named), named
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    missing = [
        name for [name] in named if not any(f"def {name}(" in one for one in sources)
    ]
    assert missing == []
