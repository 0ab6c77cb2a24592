"""Encoding of record updates as arguments of the script, one by one.

A task is encoded as soon as it is merged, and freed if it is final. Its objects are
then still in the processor's cache, and the next task reuses their memory. Encoding a
hundred together takes a quarter longer for each.
"""

from __future__ import annotations

import msgspec

from herald_core.model.rollups.counter_delta import (
    DEFAULT_COUNTER_RULES,
    CounterDelta,
    CounterRules,
)
from herald_core.model.rollups.rollup_delta import RollupDelta
from herald_core.model.tasks.views import TaskView
from herald_core.store.records import IndexTerm, RecordKey, RecordUpdate, StoredRecord
from herald_core.store.redis.encoding.record_codec import compress_body, encode_msgpack

MAX_CACHED_BYTES = 2_048
"""Bytes of a record above which it is read again when it is needed: a writer remembers
thousands, and a task may come with 40 KB of text."""


class EncodedUpdate(msgspec.Struct, frozen=True, gc=False):
    """An encoded update: `ttl` in seconds, `due` a score or empty.

    `old` is the stored rev ("" if none), `silent_rev` the next one without a log entry.
    `encode_log_field` is the change in the log (empty if none), `body` the stored bytes
    after rev and number. The record `enters` some index terms, `leaves` others, and
    `stays` in these.
    """

    key: RecordKey
    number: int
    old_rev: str
    silent_rev: str
    first_seen_ms: str
    ttl: int
    due_ms: str
    field: bytes
    body: bytes
    rollup_delta: RollupDelta
    counter_delta: CounterDelta | None
    enters: tuple[IndexTerm, ...]
    leaves: tuple[IndexTerm, ...]
    stays: tuple[IndexTerm, ...]
    update: RecordUpdate | None
    """None of a finished task, and of a long record."""
    is_long: bool
    """True if it takes too much memory to be cached."""

    def to_cache_entry(self, announced: str, number: int) -> StoredRecord | bytes:
        """Return it as it is once stored; of a finished task, as bytes.

        `announced` is the change that it is announced as, if it is.
        """
        rev = self.silent_rev or announced
        if self.update is None:
            return f"{rev} {number} ".encode() + self.body
        return self.update.to_record(rev, number)


def encode_update(
    draft: RecordUpdate,
    ttl: int,
    due: str = "",
    counters: CounterRules = DEFAULT_COUNTER_RULES,
) -> EncodedUpdate:
    """Return how `draft` is stored, for `ttl` seconds."""
    added = draft.make_rollup_delta()
    image, old = draft.image, draft.old
    over = isinstance(image, TaskView) and image.final and not draft.is_deleted
    record = b"" if draft.is_deleted else encode_msgpack(draft.record)
    long = len(record) > MAX_CACHED_BYTES
    enters, leaves = draft.list_index_changes()
    return EncodedUpdate(
        draft.key,
        draft.number,
        "" if old is None else old.rev,
        draft.make_rev(""),
        draft.first_seen_ms,
        ttl,
        due,
        draft.encode_log_field(),
        f"{draft.first_seen_ms} {due or 0}\n".encode() + compress_body(record, over)
        if record
        else b"",
        added,
        draft.make_counter_delta(added, counters),
        enters,
        leaves,
        # A new record enters all of its index terms.
        () if old is None or draft.is_deleted else draft.terms,
        None if over or long else draft,
        long,
    )
