"""Hash slots of Redis Cluster."""

from __future__ import annotations

from binascii import crc_hqx

SLOT_COUNT = 16_384
"""Hash slots of a Redis Cluster (Redis Cluster specification)."""


def compute_slot(key: str) -> int:
    """Return the slot of `key`: CRC16 (XMODEM) of its hash tag, or of all of it."""
    begin = key.find("{")
    end = key.find("}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1 : end]
    return crc_hqx(key.encode(), 0) % SLOT_COUNT
