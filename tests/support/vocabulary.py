"""`python -m tests.support.vocabulary PATH...`: identifiers beside the vocabulary.

Functions begin with a verb, classes name a role, numbers carry a unit, and a public
class name is used once. `vocabulary.toml` holds the verbs, and the words that are not
used.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

WORDS = Path(__file__).with_name("vocabulary.toml")
EXEMPT_FOLDERS = frozenset(["demo", "examples"])
"""Programs in the words of their own domain."""

NOUN_DECORATORS = frozenset(
    ["property", "cached_property", "setter", "command", "group"]
)


class Identifier(NamedTuple):
    """A name that a module defines. `kind` tells which rules hold for it."""

    kind: str  # class, function, property, constant, number, attribute
    name: str
    scope: str  # the class or function that it is defined in
    line: int

    @property
    def path(self) -> str:
        """The name with the scope that it is defined in."""
        return f"{self.scope}.{self.name}" if self.scope else self.name


@dataclass(frozen=True)
class Vocabulary:
    """The verbs that functions begin with, and the words that are not used."""

    verbs: frozenset[str]
    words: dict[str, str]
    allowed: frozenset[str]

    @staticmethod
    def load() -> Vocabulary:
        """Return the vocabulary of this repository."""
        given = tomllib.loads(WORDS.read_text())
        return Vocabulary(
            frozenset((given["verbs"] + " " + given["prefixes"]).split()),
            dict(given["words"]),
            frozenset(given["allowed"].split()),
        )

    def find_fault(self, found: Identifier) -> str | None:
        """Return what is wrong with an identifier, None if nothing is."""
        if found.name in self.allowed or found.path in self.allowed:
            return None
        words = split_words(found.name)
        for word in words:
            if word in self.words:
                return f"{word!r}: {self.words[word]}"
        if "of" in words[1:]:
            return "'of': begin with a verb, or name the thing itself"
        if found.kind == "function" and words and words[0] not in self.verbs:
            return f"{words[0]!r} is no verb of the vocabulary"
        if found.kind == "class" and is_gerund(words[-1]):
            return f"{words[-1]!r}: name a role, not an activity"
        if found.kind == "number" and len(words) < 2:
            return "a number's name carries noun and unit"
        return None


def split_words(name: str) -> list[str]:
    """Return the words of a name in snake_case or CamelCase, in lower case."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return [part.lower() for part in parts] or [name]


def is_gerund(word: str) -> bool:
    """Return True if a word has the form of a gerund."""
    return (
        len(word) > 5
        and word.endswith("ing")
        and word not in ("string", "binding", "setting")
    )


def list_identifiers(tree: ast.Module) -> Iterator[Identifier]:
    """Yield the names that a module defines, with those of classes and methods."""
    yield from _walk(tree, "")


def _walk(scope: ast.AST, name: str) -> Iterator[Identifier]:
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef):
            yield Identifier("class", node.name, name, node.lineno)
            yield from _walk(node, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not (node.name.startswith("__") and node.name.endswith("__")):
                kind = "property" if _is_named_by_noun(node) else "function"
                yield Identifier(kind, node.name, name, node.lineno)
            yield from _list_self_attributes(node, name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and not target.id.startswith("__"):
                    kind = (
                        "number" if _is_number(node.value) and not name else "constant"
                    )
                    yield Identifier(kind, target.id, name, target.lineno)
        elif isinstance(node, ast.If | ast.Try):
            yield from _walk(node, name)


def _list_self_attributes(function: ast.AST, name: str) -> Iterator[Identifier]:
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield Identifier("attribute", node.attr, name, node.lineno)


def _is_named_by_noun(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True for a property, and for a command, whose name users type."""
    called = [ast.unparse(one).partition("(")[0] for one in node.decorator_list]
    return any(name.split(".")[-1] in NOUN_DECORATORS for name in called)


def _is_number(value: ast.expr | None) -> bool:
    if isinstance(value, ast.BinOp):
        return _is_number(value.left) and _is_number(value.right)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def find_faults(paths: list[Path], vocabulary: Vocabulary) -> list[str]:
    """Return one line for each identifier that does not follow the vocabulary."""
    found: list[str] = []
    classes: dict[str, list[str]] = defaultdict(list)
    files = sorted(file for root in paths for file in root.rglob("*.py"))
    for path in files:
        if EXEMPT_FOLDERS & set(path.parts):
            continue
        seen: set[str] = set()
        for one in list_identifiers(ast.parse(path.read_text())):
            if one.kind == "class" and not one.name.startswith("_"):
                classes[one.name].append(f"{path}:{one.line}")
            fault = vocabulary.find_fault(one)
            if fault and one.path not in seen:
                seen.add(one.path)
                found.append(f"{path}:{one.line}: {one.path} ({one.kind}): {fault}")
    for name, places in sorted(classes.items()):
        if len(places) > 1 and name not in vocabulary.allowed:
            found.append(f"{places[0]}: {name} (class): also {', '.join(places[1:])}")
    return found


def main() -> int:
    """Print the faults; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    options = parser.parse_args()
    faults = find_faults(options.paths, Vocabulary.load())
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
