"""Tags and stamps of a task, as its sender gave them. Pure.

Tags are Herald's: a list of texts, in a header of the message. Stamps are
Celery's: texts by name (`Signature.stamp`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard, cast

import msgspec

TAGS_HEADER = "herald_tags"
"""The header of a message that holds the tags of its task."""

MAX_TAGS = 20
MAX_TAG_CHARS = 64

MAX_STAMPS = 20
"""Names of stamps, and values of each; a text has at most `MAX_TAG_CHARS`."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, tuple[str, ...]]).decode


def is_tag(text: object) -> TypeGuard[str]:
    """Return True if `text` can be a tag: printable, and not too long."""
    return (
        isinstance(text, str) and 0 < len(text) <= MAX_TAG_CHARS and text.isprintable()
    )


def read_tags(given: object) -> tuple[str, ...] | None:
    """Return the first valid tags of `given`, sorted; None if there are none."""
    valid = [tag for tag in _to_list(given) if is_tag(tag)]
    return tuple(sorted(set(valid[:MAX_TAGS]))) or None


def read_stamps(given: object, redact: Callable[[str], str] = str) -> str | None:
    """Return the valid stamps of `given` as JSON (name → texts), without secrets.

    None if there are none.
    """
    found: dict[str, list[str]] = {}
    for name, value in _to_mapping(given).items():
        if len(found) == MAX_STAMPS:
            break
        if is_tag(name) and (texts := _read_values(name, value, redact)):
            found[name] = texts
    return _encode(found).decode() if found else None


def decode_stamps(stored: str) -> dict[str, tuple[str, ...]]:
    """Return the stamps in a result of `read_stamps`."""
    return _decode(stored)


def _read_values(name: str, given: object, redact: Callable[[str], str]) -> list[str]:
    told = [str(one) if type(one) is int else one for one in _to_list(given)]
    valid = [text for text in told if is_tag(text)][:MAX_STAMPS]
    # With its name before it: that says which value is a secret.
    return sorted({redact(f"{name}={text}").partition("=")[2] for text in valid})


def _to_list(given: object) -> Sequence[object]:
    return cast(
        "Sequence[object]", given if isinstance(given, list | tuple) else [given]
    )


def _to_mapping(given: object) -> Mapping[object, object]:
    return cast("Mapping[object, object]", given) if isinstance(given, Mapping) else {}
