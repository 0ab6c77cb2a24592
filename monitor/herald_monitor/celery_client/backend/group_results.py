"""The number of members of groups, from a result backend. Pure.

Celery stores it in three places. `chord_size` lies beside the header of a chord while
it runs (`celery/backends/redis.py`, `set_chord_size`). `save()` stores a `GroupResult`,
and so do chords on most backends. The `children` of an ended task include the groups
that it started, with all of their members (`result.as_tuple`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

MAX_GROUP_BYTES = 16_000_000
"""Of what is stored of a group, or of its parent, beyond which it is not read: some
150,000 members."""

MAX_NODES = 1_000_000
"""Places of a tree of results that are looked at."""


def get_saved_size(meta: Mapping[str, object], group_id: str) -> int | None:
    """Return the member count of a stored `GroupResult`, None if it holds none."""
    return find_size_in_trees([meta.get("result")], group_id)


def find_child_size(meta: Mapping[str, object], group_id: str) -> int | None:
    """Return the members of a group among the children of a task's `meta`."""
    return find_size_in_trees([meta.get("children")], group_id)


def find_size_in_trees(trees: Iterable[object], group_id: str) -> int | None:
    """Return the members of a group anywhere in `trees` of `result.as_tuple()`.

    A group is `((id, parent), [results])`, a task is `((id, parent), None)`.
    """
    todo = list(trees)
    for _ in range(MAX_NODES):
        if not todo:
            return None
        node = todo.pop()
        if not isinstance(node, list | tuple):
            continue
        items = list(cast("Iterable[object]", node))
        if (size := _find_size(items, group_id)) is not None:
            return size
        todo += items
    return None


def _find_size(items: list[object], group_id: str) -> int | None:
    if len(items) != 2 or not isinstance(items[1], list | tuple):
        return None
    head = items[0]
    named = cast("list[object]", head) if isinstance(head, list | tuple) else [head]
    if not named or named[0] != group_id:
        return None
    return len(cast("list[object]", items[1]))
