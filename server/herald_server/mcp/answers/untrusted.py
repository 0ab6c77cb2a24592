"""Texts that come from tasks: found, escaped and, if a project wishes, sanitized.

Whoever can send a task, or put text into its data, can write what a model reads. So
these texts are named in `_meta`, and characters that hide or reorder text are shown as
escapes (Unicode Technical Report 36, §2.8 and §3.2). Pure, but for the sanitizer.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from typing import cast

from herald_core.errors import InvalidInput

log = logging.getLogger(__name__)

Sanitizer = Callable[[str], str]

UNTRUSTED_FIELDS = frozenset(
    (
        *("result", "error", "exception", "traceback", "reason", "progress_message"),
        *("value", "text", "keys", "task_name", "name", "tags", "args", "kwargs"),
        *("message_example", "custom_state", "progress", "what", "names", "by_name"),
        *("examples", "stamps"),
    )
)
"""Fields of answers whose texts come from tasks, or from who sends them."""

HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control, bidirectional and invisible characters, but for tabs and line ends."""

FAILED_TEXT = "(left out: the sanitizer failed)"


def escape_hidden(text: str) -> str:
    """Return `text` with each hidden character as `\\u202e` or `\\U000e0041`."""
    return HIDDEN.sub(lambda found: _escape(found[0]), text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clean_value(
    value: object, sanitizer: Sanitizer | None = None, *, untrusted: bool = False
) -> object:
    """Return JSON values with all texts escaped; `untrusted` ones are sanitized."""
    if isinstance(value, str):
        return escape_hidden(_sanitize(value, sanitizer) if untrusted else value)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [clean_value(one, sanitizer, untrusted=untrusted) for one in items]
    if not isinstance(value, dict):
        return value
    return {
        escape_hidden(key): clean_value(
            one, sanitizer, untrusted=untrusted or key in UNTRUSTED_FIELDS
        )
        for key, one in cast("dict[str, object]", value).items()
    }


def _sanitize(text: str, sanitizer: Sanitizer | None) -> str:
    if sanitizer is None:
        return text
    try:
        return str(sanitizer(text))
    except Exception as error:  # the project's own code
        log.warning("HERALD_MCP_SANITIZER failed: %s", type(error).__name__)
        return FAILED_TEXT


def find_untrusted(value: object) -> list[str]:
    """Return the fields of an answer that hold texts of tasks, sorted."""
    return sorted(set(_iter_untrusted(value)))


def _iter_untrusted(value: object) -> list[str]:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [name for one in items for name in _iter_untrusted(one)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for key, one in cast("dict[str, object]", value).items():
        if key in UNTRUSTED_FIELDS and _has_text(one):
            found.append(key)
        found += _iter_untrusted(one)
    return found


def _has_text(value: object) -> bool:
    if isinstance(value, dict):
        return value != {}
    if isinstance(value, list):
        return any(_has_text(one) for one in cast("list[object]", value))
    return isinstance(value, str) and bool(value)


def load_sanitizer(path: str | None) -> Sanitizer | None:
    """Return the function `MODULE:FUNCTION`. Raises `InvalidInput`."""
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"HERALD_MCP_SANITIZER: {path!r} cannot be imported: {error}. Name a "
            "function of one text as MODULE:FUNCTION",
            "mcp_sanitizer",
        ) from None
    if not callable(found):
        raise InvalidInput(
            f"HERALD_MCP_SANITIZER: {path!r} is no function", "mcp_sanitizer"
        )
    return cast(Sanitizer, found)
