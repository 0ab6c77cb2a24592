"""Nothing that somebody else chose controls the terminal, in no form of output."""

import json

import click
import pytest

from herald_core.errors import InvalidInput
from herald_server.cli import main
from herald_server.cli.formatting import clean_text, to_json_line

FORGED = "a\x1b[2J\x07\x7f\x9b31m\u202e\u2028\u2029\x85\ufeff\U000e0001é\U0001f600"


def test_json_is_the_same_and_harmless() -> None:
    line = to_json_line({"name": FORGED, "n": 1}).decode()
    assert json.loads(line) == {"name": FORGED, "n": 1}
    assert line.isprintable()
    assert "é\U0001f600" in line, "what can be read is left as it is"


def test_a_text_of_lines_keeps_its_lines() -> None:
    assert clean_text("a\nb") == "a\nb"
    assert all(line.isprintable() for line in clean_text(f"x\n{FORGED}").split("\n"))


@pytest.mark.parametrize("error", [InvalidInput(FORGED), ValueError(FORGED)])
def test_errors_are_harmless(error: Exception) -> None:
    with pytest.raises(click.ClickException) as said:
        main._fail(error)  # pyright: ignore[reportPrivateUsage]
    assert said.value.message.isprintable()
