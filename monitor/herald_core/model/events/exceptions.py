"""The name of an exception, from its traceback if its own text does not hold it.

Celery 5.3 to 5.7 reports the exception of a killed child process, and of a hard time
limit, as `ExceptionWithTraceback()` (billiard/einfo.py). An exception whose `repr`
fails is reported by its message alone. The traceback names the type.
"""

from __future__ import annotations

import re

PLACEHOLDER_PREFIXES = ("ExceptionWithTraceback(", "Retry(Retry(")
"""Beginnings of texts that name a wrapper in place of the exception."""

TRACEBACK_HEADER = "Traceback (most recent call last):\n"
GROUP_HEADER = "  + Exception Group Traceback"

_WRAPPER = "UnpickleableExceptionWrapper"
_GROUP_LINE = re.compile(r"^  \| (\S.*)$", re.MULTILINE)
_TYPE_LINE = re.compile(
    r"((?:[^\W\d][\w<>]*\.|<locals>\.)*[^\W\d]\w*)(?:: (.*))?", re.DOTALL
)
_RETRY = re.compile(r"Retry (?:in|at) .*?: (.+)", re.DOTALL)


def name_exception(text: str, traceback: object) -> str:
    """Return `text`, or the exception in `traceback` if that names it better."""
    if is_named(text) or not isinstance(traceback, str):
        return text
    found = read_traceback(traceback)
    if found is None:
        return text
    name, message = found
    if text.startswith("Retry("):
        reason = _RETRY.fullmatch(message)
        return reason[1] if reason else text
    if text.startswith(PLACEHOLDER_PREFIXES) or name.casefold() not in text.casefold():
        return format_exception(name, message)
    return text


def is_named(text: str) -> bool:
    """Return True if `text` is `Type(…)`, and the type that of an exception."""
    return (
        text[-1:] == ")"
        and text[: text.find("(")].isidentifier()
        and not text.startswith(PLACEHOLDER_PREFIXES)
    )


def read_traceback(text: str) -> tuple[str, str] | None:
    """Return the type's name and the message of the exception at the end of `text`."""
    if text.startswith(GROUP_HEADER):
        line = _GROUP_LINE.search(text)
        said = line[1] if line else ""
    else:
        _, header, rest = text.rpartition(TRACEBACK_HEADER)
        lines = rest.split("\n") if header else []
        # Lines of frames are indented; the first that is not names the exception.
        first = next((i for i, one in enumerate(lines) if one[:1].strip()), None)
        said = "" if first is None else "\n".join(lines[first:])
    told = _TYPE_LINE.fullmatch(said.strip())
    return (told[1].rpartition(".")[2], (told[2] or "").strip()) if told else None


def format_exception(name: str, message: str) -> str:
    """Return an exception with the `str` of it, `message`, as its `repr` would be."""
    if name == _WRAPPER:
        return message
    if message.startswith(f"{name}("):
        # The `str` of a TimeLimitExceeded holds its name and the tuple of its args.
        return f"{message.removesuffix(',)')})" if message.endswith(",)") else message
    if name == "KeyError" or (message.startswith(("('", '("')) and message[-1] == ")"):
        # The message is the `repr` of the key, or of several arguments.
        return f"{name}({message})" if name == "KeyError" else f"{name}{message}"
    return f"{name}({message!r})" if message else f"{name}()"
