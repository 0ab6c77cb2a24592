"""Render a Helm chart: the part of Go's templates that ours uses.

Helm itself is in no package registry of Python. Where it is installed, a test compares
its output with this.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

BLOCKS = ("if", "with", "range", "define")
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\(|\)|\||[^\s()|"]+')


class Block:
    """Texts, actions (tuples) and inner blocks; `otherwise` is behind `else`."""

    def __init__(self, kind: str, code: str) -> None:
        self.kind, self.code = kind, code
        self.body: list[str | tuple[str] | Block] = []
        self.otherwise: list[str | tuple[str] | Block] = []


def split(text: str) -> Iterator[str | tuple[str]]:
    """Yield texts, and actions as tuples, without the blanks that `-` removes."""
    at = 0
    strip = False
    for found in re.finditer(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", text, re.S):
        before = text[at : found.start()]
        before = before.lstrip() if strip else before
        yield before.rstrip() if found[1] else before
        yield (found[2],)
        at, strip = found.end(), bool(found[3])
    rest = text[at:]
    yield rest.lstrip() if strip else rest


def parse(text: str) -> Block:
    """Return the blocks of a template."""
    root = Block("root", "")
    stack, target = [root], [root.body]
    for part in split(text):
        word = part[0].split(None, 1) if isinstance(part, tuple) else []
        if word and word[0] in BLOCKS:
            block = Block(word[0], word[1])
            target[-1].append(block)
            stack.append(block)
            target.append(block.body)
        elif word and word[0] == "else":
            target[-1] = stack[-1].otherwise
        elif word and word[0] == "end":
            stack.pop()
            target.pop()
        else:
            target[-1].append(part)
    assert len(stack) == 1, f"a block {stack[-1].code!r} has no end"
    return root


class Chart:
    """The templates of a chart, with their values."""

    def __init__(self, place: Path) -> None:
        about = yaml.safe_load((place / "Chart.yaml").read_text())
        self.values: dict[str, Any] = yaml.safe_load(
            (place / "values.yaml").read_text()
        )
        self._about = {key[:1].upper() + key[1:]: one for key, one in about.items()}
        self._files = sorted((place / "templates").glob("*.*"))
        self._parsed = {one.name: parse(one.read_text()) for one in self._files}
        self._named: dict[str, Block] = {}
        for block in self._parsed.values():
            for inner in block.body:
                if isinstance(inner, Block) and inner.kind == "define":
                    self._named[inner.code.strip('"')] = inner

    def render(self, release: str, namespace: str) -> list[dict[str, Any]]:
        """Return the documents of all files, as `helm template` prints them."""
        about = {"Name": release, "Namespace": namespace, "Service": "Helm"}
        root = {"Values": self.values, "Chart": self._about, "Release": about}
        texts = [
            _Run(self._named, root).show(block.body, root, {})
            for name, block in self._parsed.items()
            if name.endswith(".yaml")
        ]
        found = [one for text in texts for one in yaml.safe_load_all(text)]
        return [one for one in found if one]


class _Run:
    def __init__(self, named: dict[str, Block], root: Any) -> None:
        self._named, self._root = named, root

    def show(
        self, parts: Sequence[str | tuple[str] | Block], dot: Any, names: dict[str, Any]
    ) -> str:
        out: list[str] = []
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, tuple):
                out.append(_to_text(self._evaluate(part[0], dot, names)))
            elif part.kind != "define":
                out.append(self._show_block(part, dot, names))
        return "".join(out)

    def _show_block(self, block: Block, dot: Any, names: dict[str, Any]) -> str:
        variables, _, code = block.code.rpartition(":=")
        value = self._evaluate(code, dot, names)
        if not value:
            return self.show(block.otherwise, dot, names)
        if block.kind != "range":
            return self.show(block.body, value if block.kind == "with" else dot, names)
        keys = [one.strip(" ,") for one in variables.split()]
        pairs = sorted(value.items()) if hasattr(value, "items") else enumerate(value)
        return "".join(
            self.show(block.body, one, {**names, **_name(keys, key, one)})
            for key, one in pairs
        )

    def _evaluate(self, code: str, dot: Any, names: dict[str, Any]) -> Any:
        words = WORD.findall(code)
        value = self._pipe(words, dot, names)
        assert not words, f"{code!r} is not understood"
        return value

    def _pipe(self, words: list[str], dot: Any, names: dict[str, Any]) -> Any:
        last: list[Any] = []
        while True:
            arguments: list[Any] = []
            function: Callable[..., Any] | None = None
            while words and words[0] not in ("|", ")"):
                word = words.pop(0)
                if word == "(":
                    arguments.append(self._pipe(words, dot, names))
                    words.pop(0)
                elif function is None and not arguments and word[0].isalpha():
                    function = self._find_function(word)
                else:
                    arguments.append(_read(word, dot, self._root, names))
            arguments += last
            value = function(*arguments) if function else arguments[0]
            if not words or words[0] == ")":
                return value
            words.pop(0)
            last = [value]

    def _include(self, name: str, dot: Any) -> str:
        return self.show(self._named[name].body, dot, {})

    def _find_function(self, name: str) -> Callable[..., Any]:
        if name == "include":
            return self._include
        return FUNCTIONS[name]


def _name(names: Sequence[str], key: Any, value: Any) -> dict[str, Any]:
    """Return the variables of a `range`: of the value, or of key and value."""
    return dict(zip(reversed(names), (value, key), strict=False))


def _read(word: str, dot: Any, root: Any, names: dict[str, Any]) -> Any:
    if word[0] == '"':
        return json.loads(word)
    if word[0].isdigit():
        return int(word)
    first, _, path = word.partition(".")
    value = root if first == "$" else names[first] if first else dot
    for key in path.split(".") if path else ():
        value = value[key]
    return value


def _to_text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _indent(spaces: int, text: str) -> str:
    return "\n" + "\n".join(" " * spaces + line for line in text.split("\n"))


def _to_yaml(value: Any) -> str:
    return str(yaml.safe_dump(value)).rstrip("\n")


def _quote(value: Any) -> str:
    return json.dumps(_to_text(value))


def _truncate(most: int, text: str) -> str:
    return text[:most]


def _trim_suffix(end: str, text: str) -> str:
    return text.removesuffix(end)


def _contains(part: str, text: str) -> bool:
    return part in text


def _format(form: str, *values: Any) -> str:
    return form % values


def _list(*values: Any) -> list[Any]:
    return [*values]


def _append(values: list[Any], one: Any) -> list[Any]:
    return [*values, one]


def _join(between: str, values: list[Any]) -> str:
    return between.join(map(_to_text, values))


def _default(usual: Any, value: Any) -> Any:
    return value or usual


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "toYaml": _to_yaml,
    "nindent": _indent,
    "quote": _quote,
    "trunc": _truncate,
    "trimSuffix": _trim_suffix,
    "contains": _contains,
    "printf": _format,
    "list": _list,
    "append": _append,
    "join": _join,
    "default": _default,
}
