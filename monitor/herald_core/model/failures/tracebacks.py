"""The exceptions that the text of a Python traceback names, with their frames.

The format is that of `traceback.format_exception`: blocks of a header, frames and the
exception, joined by two sentences. Messages are free text, so a header counts only
where a block may begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_PARSED_CHARS = 32_768
"""Characters of a traceback that are read: its beginning and its end, half each."""

MAX_NESTED = 3
"""Tracebacks inside of the message of another one that are unwrapped."""

MAX_TYPE_CHARS = 256
"""Characters of the name of a type, with its module."""

HEADER = "Traceback (most recent call last):"
GROUP_HEADER = "  + Exception Group Traceback (most recent call last):"
LINKS = frozenset(
    [
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    ]
)

CARRIERS = ("RemoteTraceback", "ExceptionWithTraceback")
"""Types whose message is the traceback of another process: `billiard.einfo`,
`multiprocessing.pool` and `concurrent.futures.process` send it so."""

_FRAME = re.compile(r'  File "([^"]{1,1024})", line \d+(?:, in (.{1,256}))?')
_TYPE = re.compile(r"((?:[^\W\d][\w<>]*\.|<locals>\.)*[^\W\d]\w*)(?:: |:?$)")
_NAMED = re.compile(r"[A-Z]\w*: ")


@dataclass(frozen=True)
class Frame:
    """A frame: the path as it is in the traceback, and the function ("": none)."""

    path: str
    function: str


@dataclass
class RaisedException:
    """An exception of a traceback.

    `type_name` is with its module ("": not known). The innermost of `frames` is last.
    """

    type_name: str = ""
    message: str = ""
    frames: list[Frame] = field(default_factory=list[Frame])

    @property
    def short_name(self) -> str:
        """The name of the type without its module."""
        return self.type_name.rpartition(".")[2]


def parse_traceback(text: str) -> list[RaisedException]:
    """Return the exceptions in `text`, the outermost (raised last) at the end.

    None for what is no traceback. Takes time linear in `MAX_PARSED_CHARS` at most.
    """
    return _parse(_limit(text), 0)


def _limit(text: str) -> str:
    half = MAX_PARSED_CHARS // 2
    if len(text) <= MAX_PARSED_CHARS:
        return text
    return f"{text[:half]}\n  …\n{text[-half:]}"


def _parse(text: str, depth: int) -> list[RaisedException]:
    lines = text.split("\n")
    if GROUP_HEADER in text:
        lines = list(_iter_group_lines(lines))
    found: list[RaisedException] = []
    for block in _split_blocks(lines):
        found += _unwrap(_parse_block(block), depth)
    return [one for one in found if one.frames or one.type_name]


def _iter_group_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines of an exception group's own traceback, as of a plain one.

    Those of its members are left out.
    """
    for line in lines:
        if line.startswith("  + Exception Group"):
            yield HEADER
        elif line.startswith("  | "):
            yield line[4:]
        elif not line.startswith(("  +-", "    |", "    +")):
            yield line


def _split_blocks(lines: list[str]) -> Iterator[list[str]]:
    """Yield the lines of each exception, without the header.

    A block begins with the first header, and after a sentence that links two. Texts
    of other languages have no header, but often begin with `Type: message`.
    """
    block: list[str] = []
    may_begin, has_begun = True, False
    for line in map(_strip_end, lines):
        if line == HEADER and may_begin:
            if has_begun:
                yield block
            block, may_begin, has_begun = [], False, True
        elif line in LINKS:
            may_begin = True
        else:
            has_begun = has_begun or _is_carrier(line)
            may_begin = may_begin and (not line or not has_begun)
            block.append(line)
    if has_begun or _NAMED.match("".join(block[:1])):
        yield block


def _strip_end(line: str) -> str:
    return line.rstrip("\r")


def _is_carrier(line: str) -> bool:
    """Return True if `line` begins a traceback that starts with another process'."""
    found = _TYPE.match(line[: MAX_TYPE_CHARS + 2])
    return found is not None and found[1].endswith(CARRIERS)


def _parse_block(lines: list[str]) -> RaisedException:
    """Return the exception of a block: frames are indented, the exception is not."""
    one = RaisedException()
    for number, line in enumerate(lines):
        if frame := _FRAME.match(line):
            one.frames.append(Frame(frame[1], frame[2] or ""))
        elif line[:1].strip():
            _read_exception(one, lines[number:])
            break
    return one


def _read_exception(one: RaisedException, lines: list[str]) -> None:
    found = _TYPE.match(lines[0][: MAX_TYPE_CHARS + 2])
    if found is None:
        one.message = "\n".join(lines).strip()
        return
    one.type_name = found[1]
    one.message = "\n".join([lines[0][found.end() :], *lines[1:]]).strip()


def _unwrap(one: RaisedException, depth: int) -> list[RaisedException]:
    """Return the exceptions that `one` carries in its message; itself if none."""
    if depth < MAX_NESTED and one.type_name.endswith(CARRIERS):
        nested = _parse(one.message.strip('"\n '), depth + 1)
        return nested or [one]
    return [one]
