"""The keys of the store; no other module makes any.

All keys share one hash tag, so that a script may access them together. No key is
permanent: records and indexes have a TTL that each write renews, the log is trimmed
by length.

    PREFIX:meta        hash    epoch and replication id (store.lua)
    PREFIX:log         stream  one entry a batch
    PREFIX:t2:ID       record of a task (`t:` was another format)
    PREFIX:w:HOSTNAME  record of a worker
    PREFIX:g:ID        record of a gap
    PREFIX:q:NAME      record of a queue
    PREFIX:m:NODE      a running monitor; expires after a few seconds
    PREFIX:gone        zset    ids of expired records, by time of expiry
    PREFIX:seq         number of tasks ever stored: the number of the next
    PREFIX:s:SEGMENT   hash    ids by number, see bitmaps.py
    PREFIX:due         zset    segments by the earliest expiry of their tasks
    PREFIX:chunks      hash    chunks of numbers, and the first arrivals of their
                               tasks: the earliest and the latest, in ms
    PREFIX:chunks:CHUNK hash   the same of the segments of a chunk
    PREFIX:c           hash    number of tasks in each state
    PREFIX:x:KEY:CHUNK:VALUE   bits: the numbers of a chunk that have a state, name,
                               worker, queue, cause of failure
    PREFIX:l:KEY:VALUE zset    numbers that have a root, parent, group, tag
    PREFIX:o:KEY       set     chunks in which tasks have a name, worker, queue or tag
                               without an index of its own (BOUNDED_KEYS)
    PREFIX:o:KEY:CHUNK zset    these values, as VALUE\\0PLACE, ordered by this text
    PREFIX:i:KIND:     zset    ids of workers, gaps, queues by first arrival
    PREFIX:v:KEY       zset    separately indexed values of an index key, by time of
                               last storing; KEY `w`, `g`, `q`, `m`: ids of records;
                               KEY `group`: groups by their newest member
    PREFIX:r:name:AT   hash    counts of the minute AT (unix seconds): of all tasks in
                               field "", and of each name
    PREFIX:r:queue:AT  hash    the same of each queue
    PREFIX:r:failure:AT hash   failed and retried attempts of each cause and name,
                               as CAUSE NAME
    PREFIX:counters    hash    numbers of each series for Prometheus, by its labels
    PREFIX:marks       zset    positions in the log by the bytes appended until there
    PREFIX:lease:WORK  the owner of exclusive work
    PREFIX:n:KIND:ID   an item of a server: an order under way
    PREFIX:v:n:KIND    zset    ids of the items of a kind, by time of expiry
    PREFIX:b:KIND      list    a capped list of lines, newest first
"""

from __future__ import annotations

from herald_core.model.index_limits import IndexLimits
from herald_core.settings import DEFAULT_PREFIX

BITMAP_INDEXES = ("state", "name", "worker", "queue", "failure")
"""Filter keys of few values, each of many tasks: indexed by bits."""

SORTED_SET_INDEXES = ("root", "parent", "group", "tag")
"""Filter keys of many values, each of few tasks: indexed by lists of numbers."""

INDEX_KEYS = (*BITMAP_INDEXES, *SORTED_SET_INDEXES)
"""Filter keys that have an index; `ids` needs none."""

BOUNDED_KEYS = ("name", "worker", "queue", "tag", "failure")
"""Filter keys whose values producers invent: each has a limit of separately indexed
values."""


DEFAULT_INDEX_LIMITS = IndexLimits()


FORMAT_VERSIONS = {"t": "t2"}
"""Kinds whose records are of another format than those once stored under it."""


class RedisKeys:
    """The keys below one prefix."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.meta = f"{prefix}:meta"
        self.log = f"{prefix}:log"
        self.expired_ids = f"{prefix}:gone"
        self.due = f"{prefix}:due"
        self.seq = f"{prefix}:seq"
        self.chunks = f"{prefix}:chunks"
        self.counts = f"{prefix}:c"
        self.tasks = f"{prefix}:{FORMAT_VERSIONS['t']}:"
        self.segments = f"{prefix}:s:"
        self.marks = f"{prefix}:marks"
        self.counters = f"{prefix}:counters"

    def make_record(self, kind: str, id_: str) -> str:
        """Return the key of a record: `kind` is `t`, `w`, `g`, `q` or `m`."""
        return f"{self.prefix}:{FORMAT_VERSIONS.get(kind, kind)}:{id_}"

    def make_segment(self, number: int) -> str:
        """Return the key of the ids of a segment."""
        return f"{self.segments}{number}"

    def make_chunk(self, number: int) -> str:
        """Return the key of the first arrivals of a chunk's segments."""
        return f"{self.chunks}:{number}"

    def make_bitmap(self, key: str, value: str) -> tuple[str, str]:
        """Return the parts before and after the chunk in the keys of bits."""
        return f"{self.prefix}:x:{key}:", f":{value}"

    def make_sorted_set(self, key: str, value: str) -> str:
        """Return the key of the numbers that have `value` for `key`, listed."""
        return f"{self.prefix}:l:{key}:{value}"

    def make_index(self, key: str, value: str = "") -> str:
        """Return the key of the ids of all records of a kind."""
        return f"{self.prefix}:i:{key}:{value}"

    def make_values(self, key: str) -> str:
        """Return the key of the values of an index key that are indexed apart."""
        return f"{self.prefix}:v:{key}"

    def make_others_chunks(self, key: str) -> str:
        """Return the key of the chunks with tasks of further values of a key."""
        return f"{self.prefix}:o:{key}"

    def make_others(self, key: str, chunk: int) -> str:
        """Return the key of the tasks of a chunk that have a further value."""
        return f"{self.prefix}:o:{key}:{chunk}"

    def make_minute(self, part: str, at: int) -> str:
        """Return the key of a minute's counts; `part` is `name` or `queue`."""
        return f"{self.prefix}:r:{part}:{at}"

    def make_item(self, kind: str, id_: str) -> str:
        """Return the key of a note."""
        return f"{self.prefix}:n:{kind}:{id_}"

    def make_item_ids(self, kind: str) -> str:
        """Return the key of the ids of all notes of a kind."""
        return f"{self.prefix}:v:n:{kind}"

    def make_list(self, kind: str) -> str:
        """Return the key of a book of lines."""
        return f"{self.prefix}:b:{kind}"

    def make_lease(self, work: str) -> str:
        """Return the key of the lease on `work`."""
        return f"{self.prefix}:lease:{work}"
