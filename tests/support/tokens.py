"""Count the tokens of texts, for tests.

`bpe-openai` carries the vocabulary o200k in its package: nothing is downloaded. Other
vocabularies differ by some 20 %, so budgets leave that room.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from typing import Any, Protocol, cast


class Encoding(Protocol):
    """A vocabulary."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of `text`."""
        ...


@cache
def _load() -> Encoding:
    with warnings.catch_warnings():
        # It reads its data with `importlib.resources.open_binary`.
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai

    return cast(Encoding, cast(Any, bpe_openai).get_encoding("o200k_base"))


def count_tokens(value: object) -> int:
    """Return the tokens of a text, or of the JSON of another value."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return len(_load().encode_ordinary(text))
