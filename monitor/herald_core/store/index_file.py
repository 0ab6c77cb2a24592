"""The declared keys of a herald.toml, and since when they are indexed."""

from __future__ import annotations

from pathlib import Path

from herald_core.errors import InvalidInput
from herald_core.model.queries.argument_index import ArgumentIndex, parse_index
from herald_core.store.key_value import KeyValueStore
from herald_core.system.toml_tables import read_toml

KEY_KIND = "index"
"""The kind of the items that say since when a key is indexed."""

KEY_TTL_S = 30 * 86_400.0
"""Seconds after the last start of a monitor until a key counts as not indexed."""

HANDOVER_S = 60.0
"""Seconds in which a monitor that does not know the keys yet may still run."""


def read_index(path: Path | None) -> ArgumentIndex | None:
    """Return the keys that `[index]` of a herald.toml declares, if any.

    Raises `InvalidInput` with the file.
    """
    if path is None:
        return None
    table = read_toml(path)
    try:
        return parse_index(table.get("index", {}))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None


async def declare_index(
    store: KeyValueStore, index: ArgumentIndex | None, now: float
) -> None:
    """Note since when each declared key is indexed; forget those that are not any more.

    `now` in unix seconds. Every monitor of a store must have the same keys. A key that
    was declared before keeps its time.
    """
    known = await store.get_items(KEY_KIND)
    declared = [] if index is None else list(_iter_ids(index))
    for id_ in known.keys() - set(declared):
        await store.delete_item(KEY_KIND, id_)
    for id_ in declared:
        since = known.get(id_, repr(now + HANDOVER_S).encode())
        await store.put_item(KEY_KIND, id_, since, KEY_TTL_S)


async def read_index_times(store: KeyValueStore) -> dict[tuple[str, str], float]:
    """Return since when (unix seconds) tasks are indexed, by glob and path."""
    found: dict[tuple[str, str], float] = {}
    for id_, since in (await store.get_items(KEY_KIND)).items():
        path, _, glob = id_.partition(" ")
        found[glob, path] = float(since)
    return found


def _iter_ids(index: ArgumentIndex) -> list[str]:
    return [f"{path} {glob}" for glob, paths in index.keys.items() for path in paths]
