"""Snippets of the documentation that no other test runs: they parse, and name commands
and options that there are."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator

import click
import pytest
import yaml

from herald_server.cli.main import cli
from tests.support.environment import DOCS

FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "…"
"""Marks what is left out of a snippet."""

PARSERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


def list_snippets() -> Iterator[tuple[str, str, str]]:
    """Yield page, language and text of each snippet without omissions."""
    for page in sorted(DOCS.rglob("*.md")):
        for language, text in FENCE.findall(page.read_text()):
            if LEFT_OUT not in text:
                yield str(page.relative_to(DOCS)), language, text


PARSED = [one for one in list_snippets() if one[1] in PARSERS]


@pytest.mark.parametrize(("page", "language", "text"), PARSED)
def test_a_snippet_parses(page: str, language: str, text: str) -> None:
    del page
    PARSERS[language](text)


def list_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield page and words of each line of a shell that calls `herald`."""
    for page, language, text in list_snippets():
        for line in text.splitlines() if language in ("sh", "") else ():
            if line.startswith("herald "):
                own = re.split(r" [<>|] ", line)[0]
                yield page, shlex.split(own, comments=True)[1:]


COMMANDS = [*list_commands()]


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS]
)
def test_a_command_can_be_called_so(page: str, words: list[str]) -> None:
    del page
    with cli.make_context("herald", list(words)) as context:
        name, command, rest = cli.resolve_command(context, words)
        assert command is not None, name
        with command.make_context(name, rest, parent=context):
            pass


def test_a_wrong_option_would_be_found() -> None:
    with cli.make_context("herald", ["tasks"]) as context:
        _, command, _ = cli.resolve_command(context, ["tasks"])
        assert command is not None
        with pytest.raises(click.UsageError):
            command.make_context("tasks", ["--stat"], parent=context)
