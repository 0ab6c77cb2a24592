"""The reference of the tools in the documentation is that of the tools there are."""

import pytest

from herald_server.mcp.reference import (
    BEGIN_MARK,
    END_MARK,
    find_scope,
    replace_section,
    write_reference,
)
from tests.support.clients.mcp_scopes import NEEDS
from tests.support.environment import DOCS, ROOT

pytestmark = pytest.mark.anyio

PAGE = DOCS / "reference" / "mcp.md"
AGAIN = f"run `python -m herald_server.mcp.reference {PAGE.relative_to(ROOT)}`"


async def test_the_page_tells_the_tools_as_they_are() -> None:
    text = PAGE.read_text("utf-8")
    assert text.count(BEGIN_MARK) == text.count(END_MARK) == 1
    assert replace_section(text, await write_reference()) == text, AGAIN


async def test_every_tool_and_argument_is_told() -> None:
    told = await write_reference()
    for name, (scope, arguments) in NEEDS.items():
        assert f"## {name}\n" in told
        assert find_scope(name) == scope
        assert all(f"| `{key}` |" in told for key in arguments)


def test_the_rest_of_the_text_stays() -> None:
    text = f"before\n{BEGIN_MARK}\nold\n{END_MARK}\nafter\n"
    assert (
        replace_section(text, "new")
        == f"before\n{BEGIN_MARK}\nnew\n{END_MARK}\nafter\n"
    )
    assert (
        replace_section("before\n", "new")
        == f"before\n\n{BEGIN_MARK}\nnew\n{END_MARK}\n"
    )
