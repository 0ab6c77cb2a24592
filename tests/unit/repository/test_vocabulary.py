"""Identifiers follow the vocabulary, and the check finds those that do not."""

import ast
from pathlib import Path

import pytest

from tests.support.vocabulary import Vocabulary, find_faults, list_identifiers

ROOT = Path(__file__).parents[3]


def test_the_sources_follow_the_vocabulary() -> None:
    assert find_faults([ROOT / "monitor", ROOT / "server"], Vocabulary.load()) == []


@pytest.mark.parametrize(
    "source",
    [
        "def kind_of(app): ...",
        "def joined(parts): ...",
        "def told(error): ...",
        "class Gauging: ...",
        "MOST = 5",
        "TIMEOUT = 5.0",
        "class A:\n    def f(self):\n        self.wish = 1",
    ],
)
def test_a_name_beside_the_vocabulary_is_found(source: str) -> None:
    vocabulary = Vocabulary.load()
    found = [vocabulary.find_fault(one) for one in list_identifiers(ast.parse(source))]
    assert any(found)


@pytest.mark.parametrize(
    "source",
    [
        "def get_task(): ...",
        "def is_final(): ...",
        "def to_ms(): ...",
        "def __eq__(self, other): ...",
        "class EventBuffer: ...",
        "MAX_BATCH_EVENTS = 5",
        "class A:\n    @property\n    def state(self): ...",
    ],
)
def test_a_name_of_the_vocabulary_is_not(source: str) -> None:
    vocabulary = Vocabulary.load()
    found = [vocabulary.find_fault(one) for one in list_identifiers(ast.parse(source))]
    assert not any(found)


def test_a_public_class_name_is_used_once(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("class Page: ...\n")
    [fault] = find_faults([tmp_path], Vocabulary.load())
    assert "Page" in fault
