"""Every key in the store, made here only.

All keys share one hash tag, so that a script may touch them together. Nothing
is kept for ever: records and indexes have a TTL that each write renews, the log
is trimmed by length.

    PREFIX:meta        hash    epoch and replication id (scripts/store.lua)
    PREFIX:log         stream  one entry a batch
    PREFIX:t2:ID       record of a task (`t:` was another format)
    PREFIX:w:HOSTNAME  record of a worker
    PREFIX:g:ID        record of a gap
    PREFIX:q:NAME      record of a queue
    PREFIX:m:NODE      a monitor that lives; runs out after a few seconds
    PREFIX:gone        zset    ids whose record ran out, by when
    PREFIX:seq         how many tasks were ever stored: the number of the next
    PREFIX:s:SEGMENT   hash    ids by number, see model/numbers.py
    PREFIX:due         zset    segments by when the first of their tasks may run out
    PREFIX:chunks      hash    chunks of numbers, and when their tasks were first
                               heard of: the earliest and the latest, in ms
    PREFIX:chunks:CHUNK hash   the same of the segments of a chunk
    PREFIX:c           hash    how many tasks are in each state
    PREFIX:x:KEY:CHUNK:VALUE   bits: which numbers of a chunk have a state, name,
                               worker, queue
    PREFIX:l:KEY:VALUE zset    numbers that have a root, parent, group, tag
    PREFIX:o:KEY       set     chunks in which tasks have a name, worker, queue or tag
                               that is not indexed apart (BOUNDED)
    PREFIX:o:KEY:CHUNK zset    which, as VALUE\\0PLACE, by nothing but this text
    PREFIX:i:KIND:     zset    ids of workers, gaps, queues by when they were first
                               heard of
    PREFIX:v:KEY       zset    values of an index key that are indexed apart, by when
                               they were last stored; KEY `w`, `g`, `q`, `m`:
                               ids of records; KEY `group`: groups by when a
                               member was last added
    PREFIX:r:name:AT   hash    what happened in the minute AT (unix seconds): counts
                               of all tasks in field "", and of each name
    PREFIX:r:queue:AT  hash    the same of each queue
    PREFIX:marks       zset    places in the log by the bytes appended until there
    PREFIX:lease:WORK  who does what only one may do
    PREFIX:n:KIND:ID   a note of a server: an order under way
    PREFIX:v:n:KIND    zset    ids of the notes of a kind, by when they run out
    PREFIX:b:KIND      list    a book of lines, newest first
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from herald_monitor.model.shape import TaskImage

DEFAULT_PREFIX = "{herald}"

MAPPED = ("state", "name", "worker", "queue")
"""Filter keys of few values, each of many tasks: indexed by bits."""

LISTED = ("root", "parent", "group", "tag")
"""Filter keys of many values, each of few tasks: indexed by lists of numbers."""

INDEXED = (*MAPPED, *LISTED)
"""Filter keys that have an index; `ids` needs none."""

BOUNDED = ("name", "worker", "queue", "tag")
"""Filter keys whose values producers invent: so many of each are indexed apart."""


class Apart(NamedTuple):
    """How many values of each of the keys `BOUNDED` are indexed apart at a time.

    Tasks of further ones are found as well, in an index of the others.
    """

    name: int = 2_000
    worker: int = 5_000
    queue: int = 2_000
    tag: int = 20_000


DEFAULT_APART = Apart()


FORMAT = {"t": "t2"}
"""Kinds whose records are of another format than those once stored under it."""


class Keys:
    """The keys below one prefix."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.meta = f"{prefix}:meta"
        self.log = f"{prefix}:log"
        self.gone = f"{prefix}:gone"
        self.due = f"{prefix}:due"
        self.seq = f"{prefix}:seq"
        self.chunks = f"{prefix}:chunks"
        self.counts = f"{prefix}:c"
        self.tasks = f"{prefix}:{FORMAT['t']}:"
        self.segments = f"{prefix}:s:"
        self.marks = f"{prefix}:marks"

    def record(self, kind: str, id_: str) -> str:
        """Return the key of a record: `kind` is `t`, `w`, `g`, `q` or `m`."""
        return f"{self.prefix}:{FORMAT.get(kind, kind)}:{id_}"

    def segment(self, number: int) -> str:
        """Return the key of the ids of a segment."""
        return f"{self.segments}{number}"

    def chunk(self, number: int) -> str:
        """Return the key of when the segments of a chunk were first heard of."""
        return f"{self.chunks}:{number}"

    def map(self, key: str, value: str) -> tuple[str, str]:
        """Return what stands before and behind the chunk in the keys of bits."""
        return f"{self.prefix}:x:{key}:", f":{value}"

    def listing(self, key: str, value: str) -> str:
        """Return the key of the numbers that have `value` for `key`, listed."""
        return f"{self.prefix}:l:{key}:{value}"

    def index(self, key: str, value: str = "") -> str:
        """Return the key of the ids of all records of a kind."""
        return f"{self.prefix}:i:{key}:{value}"

    def values(self, key: str) -> str:
        """Return the key of the values of an index key that are indexed apart."""
        return f"{self.prefix}:v:{key}"

    def others(self, key: str) -> str:
        """Return the key of the chunks with tasks of further values of a key."""
        return f"{self.prefix}:o:{key}"

    def other(self, key: str, chunk: int) -> str:
        """Return the key of the tasks of a chunk that have a further value."""
        return f"{self.prefix}:o:{key}:{chunk}"

    def minute(self, part: str, at: int) -> str:
        """Return the key of a minute's counts; `part` is `name` or `queue`."""
        return f"{self.prefix}:r:{part}:{at}"

    def note(self, kind: str, id_: str) -> str:
        """Return the key of a note."""
        return f"{self.prefix}:n:{kind}:{id_}"

    def noted(self, kind: str) -> str:
        """Return the key of the ids of all notes of a kind."""
        return f"{self.prefix}:v:n:{kind}"

    def book(self, kind: str) -> str:
        """Return the key of a book of lines."""
        return f"{self.prefix}:b:{kind}"

    def lease(self, work: str) -> str:
        """Return the key that says who does `work`."""
        return f"{self.prefix}:lease:{work}"


def places(task: TaskImage) -> Iterator[tuple[str, str]]:
    """Yield the index places (filter key, value) of `task`.

    Every task has exactly one state, so the states together hold all tasks.
    """
    if task.state:
        yield "state", task.state
    if task.name:
        yield "name", task.name
    if task.worker:
        yield "worker", task.worker
    if task.queue:
        yield "queue", task.queue
    # A task is its own root unless told otherwise; that needs no index.
    if task.root_id and task.root_id != task.id:
        yield "root", task.root_id
    if task.parent_id:
        yield "parent", task.parent_id
    if task.group_id:
        yield "group", task.group_id
    for tag in task.tags or ():
        yield "tag", tag
