"""Settings of a Celery project that its URLs do not carry, as a person gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

TEXT_OPTIONS = frozenset(["global_keyprefix", "sep", "master_name"])
"""Options whose values are texts, also if they look like numbers."""


def read_options(given: object) -> dict[str, object]:
    """Return options by name, from a JSON object or from `NAME=VALUE` texts.

    A value is JSON if it can be read so, and a text otherwise. Raises `ValueError`.
    """
    if isinstance(given, Mapping):
        return {str(k): v for k, v in cast("Mapping[object, object]", given).items()}
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(given, type=dict[str, object])
        except msgspec.MsgspecError as error:
            raise ValueError(f"{given!r} is no JSON object ({error})") from None
    texts = given.split(";") if isinstance(given, str) else given
    if not isinstance(texts, Sequence):
        raise ValueError("must be a JSON object or NAME=VALUE")
    return dict(_parse_pair(str(one)) for one in cast("Sequence[object]", texts) if one)


def _parse_pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"{text!r} is not NAME=VALUE; write global_keyprefix=shop:")
    if name.strip() in TEXT_OPTIONS:
        return name.strip(), value
    try:
        return name.strip(), msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return name.strip(), value
