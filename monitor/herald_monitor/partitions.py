"""Which partition of a store something belongs to, and under which prefix it lies.

All keys of a partition share a hash tag, so that on a Redis Cluster they lie in
one slot and one script may touch them together. A task belongs where its id says.
Workers, gaps, monitors, leases and notes belong to the first partition.
"""

from __future__ import annotations

from binascii import crc32, crc_hqx
from itertools import count

SLOTS = 16_384
"""Hash slots of a Redis Cluster (Redis Cluster specification)."""

FIRST = 0


def part_of(task_id: str, number: int) -> int:
    """Return the partition, of `number`, that the task belongs to."""
    return crc32(task_id.encode("utf-8", "surrogatepass")) % number


def slot_of(key: str) -> int:
    """Return the slot of `key`: CRC16 (XMODEM) of its hash tag, or of all of it."""
    begin = key.find("{")
    end = key.find("}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1 : end]
    return crc_hqx(key.encode(), 0) % SLOTS


def prefixes(prefix: str, number: int) -> list[str]:
    """Return the prefixes of `number` partitions, spread evenly over all slots.

    Numbers alone would not be: of tags 0 to 127 one of six nodes gets 15, another 27.
    """
    name = prefix.strip("{}")
    return [_prefix(name, part, number) for part in range(number)]


def _prefix(name: str, part: int, number: int) -> str:
    for attempt in count():
        prefix = f"{{{name}-{part}-{attempt}}}"
        if slot_of(prefix) * number // SLOTS == part:
            return prefix
    raise AssertionError("unreachable")
