"""The changes that a watch yields: `Put`, `Gone`, `Reset`."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Put(msgspec.Struct, Generic[T], frozen=True):
    """An item was added or changed. `image` is the complete item."""

    image: T


class Gone(msgspec.Struct, frozen=True):
    """An item left the filter, or its record expired."""

    id: str


class Reset(msgspec.Struct, frozen=True):
    """All earlier changes are void; a new snapshot follows as `Put`s.

    `reason` is `trimmed` or `epoch` (history was lost), `slow` (this client did not
    keep up), or `new` (a subscription that cannot be resumed started again).
    """

    reason: str


Change: TypeAlias = Put[T] | Gone | Reset


class CountImage(msgspec.Struct, frozen=True):
    """Number of tasks in a state; `id` is the state."""

    id: str
    count: int
