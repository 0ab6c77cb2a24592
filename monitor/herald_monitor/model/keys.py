"""Every key in the store, made here only.

All keys share one hash tag, so that a script may touch them together. Nothing
is kept for ever: records and indexes have a TTL that each write renews, the log
is trimmed by length.

    PREFIX:meta        hash    epoch and replication id (scripts/store.lua)
    PREFIX:log         stream  one entry a batch
    PREFIX:t:ID        record of a task
    PREFIX:w:HOSTNAME  record of a worker
    PREFIX:g:ID        record of a gap
    PREFIX:m:NODE      a monitor that lives; runs out after a few seconds
    PREFIX:gone        zset    ids whose record ran out, by when
    PREFIX:due         zset    ids by when their record runs out
    PREFIX:i:KEY:VALUE zset    ids by when they were first heard of, in ms
    PREFIX:v:KEY       zset    values of an index key, for globs, by when they
                               were last stored; KEY `w`, `g`, `m`: ids of records
    PREFIX:marks       zset    places in the log by the bytes appended until there
    PREFIX:lease:WORK  who does what only one may do
    PREFIX:n:KIND:ID   a note of a server: an order under way
    PREFIX:v:n:KIND    zset    ids of the notes of a kind, by when they run out
"""

from __future__ import annotations

from collections.abc import Iterator

from herald_monitor.model.shape import TaskImage

DEFAULT_PREFIX = "{herald}"

INDEXED = ("state", "name", "worker", "queue", "root", "parent", "group", "tag")
"""Filter keys that have an index; `ids` needs none."""


class Keys:
    """The keys below one prefix."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.meta = f"{prefix}:meta"
        self.log = f"{prefix}:log"
        self.gone = f"{prefix}:gone"
        self.due = f"{prefix}:due"
        self.marks = f"{prefix}:marks"

    def record(self, kind: str, id_: str) -> str:
        """Return the key of a record: `kind` is `t`, `w`, `g` or `m`."""
        return f"{self.prefix}:{kind}:{id_}"

    def index(self, key: str, value: str = "") -> str:
        """Return the key of the ids that have `value` for the filter key `key`."""
        return f"{self.prefix}:i:{key}:{value}"

    def values(self, key: str) -> str:
        """Return the key of all values that an index key has."""
        return f"{self.prefix}:v:{key}"

    def note(self, kind: str, id_: str) -> str:
        """Return the key of a note."""
        return f"{self.prefix}:n:{kind}:{id_}"

    def noted(self, kind: str) -> str:
        """Return the key of the ids of all notes of a kind."""
        return f"{self.prefix}:v:n:{kind}"

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
