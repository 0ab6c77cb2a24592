"""Orders: what a person or program asked Herald to do to workers, queues or many tasks.

An order is stored as a document of the kind `orders` and changes as it proceeds. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

ORDER_KIND = "orders"
"""The kind of documents that orders are."""

ORDER_TTL_S = 7 * 86_400.0
"""Seconds for which an order is kept after its last change."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order, as every interface shows it.

    `kind` is what was ordered, such as `pool_grow` or `bulk_retry`, and `target` its
    object: a hostname, a queue or a query. `state` is one of the states of its kind.
    `who` is the name of the caller's token. Times are RFC 3339; an order with
    `ended_at` changes no more. `message` says in a sentence what came of it. `details`
    are the parameters and figures of its kind, as plain JSON values.
    """

    id: str
    kind: str
    state: str
    who: str
    requested_at: str
    ended_at: str | None = None
    target: str = ""
    message: str = ""
    details: dict[str, Any] = {}

    @property
    def is_ended(self) -> bool:
        """True if the order changes no more."""
        return self.ended_at is not None


def to_document_data(order: Order) -> dict[str, Any]:
    """Return `order` as the data of its document, whose id is that of the order."""
    data: dict[str, Any] = msgspec.to_builtins(order)
    del data["id"]
    return data


def from_document_data(id_: str, data: Mapping[str, Any]) -> Order:
    """Return the order in a document. Raises `msgspec.ValidationError`."""
    return msgspec.convert({**data, "id": id_}, Order)
