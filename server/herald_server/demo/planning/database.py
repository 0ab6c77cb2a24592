"""The schedule in SQLite: many workers read and write one file at once."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from herald_server.demo.planning import seeding
from herald_server.demo.planning.schedule import (
    Absence,
    Block,
    Faculty,
    People,
    Resident,
    Week,
    mondays,
)

BUSY_SECONDS: Final = 30
_SCHEMA_VERSION: Final = 1


def demo_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `HERALD_DEMO_DB`, or a file of this user in the temporary folder."""
    if path := environ.get("HERALD_DEMO_DB"):
        return Path(path)
    folder = Path(tempfile.gettempdir()) / f"herald-demo-{os.getuid()}"
    return folder / "schedule.sqlite3"


@contextmanager
def opened(path: Path) -> Generator[sqlite3.Connection]:
    """Open the schedule; whoever is first seeds it, others wait for that."""
    connection = _connect(path)
    try:
        if not _is_seeded(connection):
            _seed_once(connection, path)
        yield connection
    finally:
        connection.close()


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """Run one write transaction: all of it, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def people(db: sqlite3.Connection) -> People:
    """Read everybody on the schedule."""
    faculty = tuple(
        Faculty(
            row["id"], row["name"], frozenset(row["services"].split()), row["hours"]
        )
        for row in db.execute("SELECT * FROM faculty ORDER BY id")
    )
    residents = tuple(
        Resident(row["id"], row["name"], row["rotation"])
        for row in db.execute("SELECT * FROM residents ORDER BY id")
    )
    return People(faculty, residents)


def weeks(db: sqlite3.Connection, first: date, last: date) -> list[Week]:
    """Read all weeks that a period touches; those not yet planned are planned."""
    wanted = list(mondays(first, last))
    known = {row["monday"] for row in db.execute("SELECT monday FROM weeks")}
    missing = [monday for monday in wanted if monday.isoformat() not in known]
    if missing:
        with writing(db):
            seeding.add_weeks(db, seed_of(db), missing)
    return [_week(db, monday) for monday in wanted]


def cover(
    db: sqlite3.Connection, run_id: str, first: date, last: date
) -> dict[int, int]:
    """Read who covers what in a run: block id → faculty id."""
    rows = db.execute(
        "SELECT block_id, faculty_id FROM assignments JOIN blocks ON id = block_id"
        " WHERE run_id = ? AND day BETWEEN ? AND ?",
        (run_id, first.isoformat(), last.isoformat()),
    )
    return {row["block_id"]: row["faculty_id"] for row in rows}


def run_ids(db: sqlite3.Connection) -> list[str]:
    """Read the runs of the schedule, oldest first."""
    return [row["id"] for row in db.execute("SELECT id FROM runs ORDER BY id")]


def seed_of(db: sqlite3.Connection) -> int:
    """Read the seed from which the schedule was made up."""
    row = db.execute("SELECT seed FROM seeded").fetchone()
    return int(row["seed"])


def _week(db: sqlite3.Connection, monday: date) -> Week:
    span = (monday.isoformat(), (monday + timedelta(days=6)).isoformat())
    blocks = db.execute(
        "SELECT * FROM blocks WHERE day BETWEEN ? AND ? ORDER BY id", span
    )
    absences = db.execute("SELECT * FROM absences WHERE day BETWEEN ? AND ?", span)
    return Week(
        monday,
        tuple(
            Block(b["id"], date.fromisoformat(b["day"]), b["half"], b["service"])
            for b in blocks
        ),
        tuple(
            Absence(a["faculty_id"], date.fromisoformat(a["day"]), bool(a["late"]))
            for a in absences
        ),
    )


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Transactions are written out, in `writing`; reads need none.
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _is_seeded(db: sqlite3.Connection) -> bool:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return bool(version == _SCHEMA_VERSION)


def _seed_once(db: sqlite3.Connection, path: Path) -> None:
    # A lock on a file beside it, because turning WAL on does not wait for a
    # busy database, and because seeding takes longer than a write should.
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_seeded(db):
            return
        db.execute("PRAGMA journal_mode = WAL")
        with writing(db):
            seeding.seed(db)
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
