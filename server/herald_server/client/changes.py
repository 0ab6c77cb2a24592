"""What a watch tells: `Put`, `Gone`, `Reset`."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Put(msgspec.Struct, Generic[T], frozen=True):
    """Something is there now, or became different. `image` is all of it."""

    image: T


class Gone(msgspec.Struct, frozen=True):
    """Something left the filter, or was forgotten."""

    id: str


class Reset(msgspec.Struct, frozen=True):
    """All that was told is void; the whole snapshot follows as `Put`s.

    `reason` is `trimmed` or `epoch` (history was lost), `slow` (we did not keep
    up), or `new` (a subscription that cannot be resumed began again).
    """

    reason: str


Change: TypeAlias = Put[T] | Gone | Reset


class CountImage(msgspec.Struct, frozen=True):
    """How many tasks are in a state; `id` is the state."""

    id: str
    count: int
