"""The reference of the tools in the README is that of the tools there are."""

from pathlib import Path

import pytest

from herald_server.mcp.reference import BEGIN, END, put, reference, scope_of
from tests.unit.test_mcp_refusals import NEEDS

pytestmark = pytest.mark.anyio

README = Path(__file__).parents[2] / "server" / "README.md"
AGAIN = "run `python -m herald_server.mcp.reference server/README.md`"


async def test_the_readme_tells_the_tools_as_they_are() -> None:
    text = README.read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert put(text, await reference()) == text, AGAIN


async def test_every_tool_and_argument_is_told() -> None:
    told = await reference()
    for name, (scope, arguments) in NEEDS.items():
        assert f"#### {name}\n" in told
        assert scope_of(name) == scope
        assert all(f"| `{key}` |" in told for key in arguments)


def test_the_rest_of_the_text_stays() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert put("before\n", "new") == f"before\n\n{BEGIN}\nnew\n{END}\n"
