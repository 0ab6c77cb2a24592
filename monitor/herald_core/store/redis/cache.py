"""A cache of the records that a writer stored lately, which saves a round trip."""

from __future__ import annotations

from collections import OrderedDict

from herald_core.store.records import RecordKey, StoredRecord
from herald_core.store.redis.encoding.stored_records import decode_stored

MAX_OVERFLOW_FACTOR = 5
"""Of this many cached records, one may be a finished task."""


class RecordCache:
    """An LRU cache of stored records.

    Finished tasks receive few further events, so they are cached as stored bytes.
    Freeing the objects of one after it has left the processor's cache takes as long as
    a merge.
    """

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        # A plain dict walks over all that was deleted to find its first.
        self._known: OrderedDict[RecordKey, StoredRecord] = OrderedDict()
        self._excess: OrderedDict[RecordKey, bytes] = OrderedDict()

    def get(self, name: RecordKey) -> StoredRecord | None:
        """Return the cached record of `name`, and mark it as used."""
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
            return found
        stored = self._excess.get(name)
        return None if stored is None else decode_stored(name[0], stored)

    def put(self, name: RecordKey, record: StoredRecord | bytes) -> None:
        """Cache a record under a name that is not cached yet."""
        if isinstance(record, bytes):
            self._excess[name] = record
            if len(self._excess) > self._max_records // MAX_OVERFLOW_FACTOR:
                self._excess.popitem(last=False)
        else:
            self._known[name] = record
            if len(self._known) > self._max_records:
                self._known.popitem(last=False)

    def discard(self, name: RecordKey) -> None:
        """Delete `name`."""
        if self._known.pop(name, None) is None:
            self._excess.pop(name, None)

    def clear(self) -> None:
        """Delete all entries."""
        self._known.clear()
        self._excess.clear()
