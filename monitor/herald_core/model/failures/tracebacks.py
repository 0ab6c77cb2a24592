"""The exceptions that the text of a Python traceback names, with their frames.

The format is that of `traceback.format_exception`: blocks of a header, frames and the
exception, joined by two sentences. Messages are free text, so a header counts only
where a block may begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

_LINE_START = re.compile(r"\n\S")
_FRAME = re.compile(
    r'^  File "([^"\n]{1,1024})", line \d+(?:, in (.{1,256}))?', re.MULTILINE
)
_MARKED_LINE = re.compile(
    rf"\n(?:{'|'.join(sorted(LINKS))}|{re.escape(GROUP_HEADER)})(?=\n|$)"
)
"""A line that separates exceptions, or begins a group of them."""

_JOINT = re.compile(rf"\n(?:{'|'.join(sorted(LINKS))})\n+{re.escape(HEADER)}(?=\n|$)")
"""What is between two exceptions of a plain traceback."""

_TYPE = re.compile(r"((?:[^\W\d][\w<>]*\.|<locals>\.)*[^\W\d]\w*)(?:: |:?$)")
_NAMED = re.compile(r"[A-Z]\w*: ")


@dataclass(frozen=True)
class Frame:
    """A frame: the path as it is in the traceback, and the function ("": none)."""

    path: str
    function: str


@dataclass(frozen=True)
class RaisedException:
    """An exception of a traceback.

    `type_name` is with its module ("": not known). `frame_lines` are the lines of its
    frames, see `parse_frames`.
    """

    type_name: str = ""
    message: str = ""
    frame_lines: str = ""

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


def parse_frames(lines: str) -> list[Frame]:
    """Return the frames in the lines of a traceback, the innermost last."""
    return [Frame(path, function) for path, function in _FRAME.findall(lines)]


def _parse(text: str, depth: int) -> list[RaisedException]:
    blocks = split_plain(text)
    if blocks is None:
        lines = text.split("\n")
        if GROUP_HEADER in text:
            lines = list(_iter_group_lines(lines))
        blocks = ["\n".join(block) for block in split_blocks(lines)]
    found: list[RaisedException] = []
    for block in blocks:
        found += _unwrap(parse_block(block), depth)
    return [one for one in found if one.type_name or _FRAME.search(one.frame_lines)]


def split_plain(text: str) -> Sequence[str] | None:
    """Return what `split_blocks` does, of a text as Python writes it; None of others.

    It looks at whole texts where the other goes through lines, and takes a tenth of its
    time.
    """
    begin = f"{HEADER}\n"
    if not text.startswith(begin) or "\r" in text:
        return None
    if _MARKED_LINE.search(text) is None:
        return [text[len(begin) :]]
    first, *rest = _JOINT.split(text)
    if any(map(_MARKED_LINE.search, (first, *rest))):
        return None
    return [first[len(begin) :], *(block.removeprefix("\n") for block in rest)]


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


def split_blocks(lines: list[str]) -> Iterator[list[str]]:
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


def parse_block(text: str) -> RaisedException:
    """Return the exception of a block: frames are indented, the exception is not."""
    end = 0
    if not text[:1].strip():
        found = _LINE_START.search(text)
        end = len(text) if found is None else found.start() + 1
    frame_lines, rest = text[:end], text[end:]
    first = rest.partition("\n")[0]
    named = _TYPE.match(first[: MAX_TYPE_CHARS + 2])
    if named is None:
        return RaisedException("", rest.strip(), frame_lines)
    return RaisedException(named[1], rest[named.end() :].strip(), frame_lines)


def _unwrap(one: RaisedException, depth: int) -> list[RaisedException]:
    """Return the exceptions that `one` carries in its message; itself if none."""
    if depth < MAX_NESTED and one.type_name.endswith(CARRIERS):
        nested = _parse(one.message.strip('"\n '), depth + 1)
        return nested or [one]
    return [one]
