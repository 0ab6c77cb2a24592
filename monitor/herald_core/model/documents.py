"""Documents: small records whose changes are published, such as schedules and orders.

Each kind of document is a topic of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from herald_core.model.codec import to_json

DOCUMENT_KINDS = ("failures", "schedules", "orders", "marks", "alerts")
"""The kinds of documents; each is the name of its topic."""

MAX_DOCUMENTS = 2_000
"""Documents of a kind that are kept: beyond them the oldest are deleted."""

MAX_DOCUMENT_BYTES = 64 * 1024
"""Bytes of JSON of one document."""

MAX_DOCUMENT_TTL_S = 7 * 86_400.0
"""Maximum lifetime of a document after it was last written."""

REFRESH_S = 60.0
"""Seconds by which a document must live longer to be stored again without news."""

RESERVED_KEYS = frozenset(["id", "updated_at", "rev"])
"""Keys of the public view that `data` may not have."""

DocumentData: TypeAlias = dict[str, Any]
"""What can be encoded as a JSON object."""

DocumentUpdate: TypeAlias = Callable[[Mapping[str, Any] | None], DocumentData | None]
"""A pure function from the stored data (None: not stored) to the new data.

It returns None to leave the document as it is. It is called again if another writer
changes the document meanwhile.
"""


class Document(msgspec.Struct, frozen=True, gc=False):
    """A document of `kind`: its data, and when it was last changed.

    `updated_at` is RFC 3339. `expires_at` is in unix seconds.
    """

    kind: str
    id: str
    data: DocumentData
    updated_at: str
    expires_at: float
    rev: str | None = None

    def to_view(self) -> DocumentData:
        """Return the public view: the data, with `id`, `updated_at` and `rev`."""
        view = {"id": self.id, **self.data, "updated_at": self.updated_at}
        return view if self.rev is None else {**view, "rev": self.rev}

    def is_expired(self, now: float) -> bool:
        """Return True if its lifetime is over at `now` (unix seconds)."""
        return self.expires_at <= now


def check_document(kind: str, data: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a document of `kind` with `data` cannot be stored."""
    if kind not in DOCUMENT_KINDS:
        known = ", ".join(DOCUMENT_KINDS)
        raise ValueError(f"unknown kind of document {kind!r}; use one of {known}")
    if reserved := RESERVED_KEYS & data.keys():
        raise ValueError(f"a document may not have the keys {sorted(reserved)}")
    if (size := len(to_json(data))) > MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"a document of {size} bytes is too large; at most {MAX_DOCUMENT_BYTES}"
        )


def replace_with(data: DocumentData) -> DocumentUpdate:
    """Return the update that stores `data`, whatever is stored."""
    return lambda _: data
