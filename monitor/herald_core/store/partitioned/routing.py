"""The partition of a record, and the key prefix of a partition.

All keys of a partition share a hash tag. So on a Redis Cluster they lie in one slot,
and one script may access them together. The id of a task decides its partition.
Workers, gaps, monitors, leases and key-value items belong to the first partition.
"""

from __future__ import annotations

from binascii import crc32
from itertools import count

from herald_core.store.redis.cluster_slots import SLOT_COUNT, compute_slot

HOME_PARTITION = 0


def find_partition(task_id: str, number: int) -> int:
    """Return the partition, of `number`, that the task belongs to."""
    return crc32(task_id.encode("utf-8", "surrogatepass")) % number


def list_prefixes(prefix: str, number: int) -> list[str]:
    """Return the prefixes of `number` partitions, spread evenly over all slots.

    Numbers alone would not be: of tags 0 to 127 one of six nodes gets 15, another 27.
    """
    name = prefix.strip("{}")
    return [_make_prefix(name, part, number) for part in range(number)]


def _make_prefix(name: str, part: int, number: int) -> str:
    for attempt in count():
        prefix = f"{{{name}-{part}-{attempt}}}"
        if compute_slot(prefix) * number // SLOT_COUNT == part:
            return prefix
    raise AssertionError("unreachable")
