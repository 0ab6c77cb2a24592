"""Snapshots of the measures: taken, checked, and cleaned up."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from herald_server.demo.planning.database import writing
from herald_server.demo.planning.plan import Report
from herald_server.demo.planning.seeding import digest

BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What a cleanup did."""

    deleted: Counter[str]
    kept: int
    damaged: int


def take(db: sqlite3.Connection, now: datetime, metrics: Mapping[str, object]) -> int:
    """Write a snapshot; return how many there are now."""
    body = json.dumps(metrics)
    with writing(db):
        db.execute(
            "INSERT INTO snapshots (taken_at, status, body, digest)"
            " VALUES (?, 'final', ?, ?)",
            (now.isoformat(timespec="seconds"), body, digest(body)),
        )
    return count(db)


def count(db: sqlite3.Connection) -> int:
    """Return how many snapshots there are."""
    (number,) = db.execute("SELECT count(*) FROM snapshots").fetchone()
    return int(number)


def clean(db: sqlite3.Connection, cutoff: datetime, report: Report) -> Cleanup:
    """Delete what was taken before the cutoff; verify what is kept."""
    limit = cutoff.isoformat(timespec="seconds")
    total = count(db)
    deleted = _delete(db, limit, total, report)
    kept = damaged = 0
    # Read first: no read transaction stays open while others write.
    for body, checksum in db.execute("SELECT body, digest FROM snapshots").fetchall():
        kept += 1
        damaged += not _sound(body, checksum)
        report(deleted.total() + kept, total, f"{kept} snapshots verified")
    return Cleanup(deleted, kept, damaged)


def _delete(
    db: sqlite3.Connection, limit: str, total: int, report: Report
) -> Counter[str]:
    deleted: Counter[str] = Counter()
    while True:
        # Small transactions, so that other tasks get to write between them.
        with writing(db):
            rows = db.execute(
                "DELETE FROM snapshots WHERE id IN (SELECT id FROM snapshots"
                " WHERE taken_at < ? ORDER BY taken_at LIMIT ?) RETURNING status",
                (limit, BATCH),
            ).fetchall()
        deleted.update(row["status"] for row in rows)
        if not rows:
            return deleted
        report(deleted.total(), total, f"{deleted.total()} snapshots deleted")


def _sound(body: str, checksum: str) -> bool:
    try:
        return digest(body) == checksum and isinstance(json.loads(body), dict)
    except ValueError:
        return False
