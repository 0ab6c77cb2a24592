"""Fills an empty database: people, weeks, two runs of the schedule, snapshots."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from herald_server.demo.planning.coverage import solve
from herald_server.demo.planning.plan import cover_by_id, problem_of
from herald_server.demo.planning.schedule import People, Week, mondays, people, week

FIRST_RUN: Final = "run-001"
CURRENT_RUN: Final = "run-002"
RUN_IDS: Final = (FIRST_RUN, CURRENT_RUN)
"""The two runs that a seeded schedule has: the first plan, and the one in force."""

DAYS_BACK: Final = 98
DAYS_AHEAD: Final = 105
SNAPSHOT_DAYS: Final = 500
SNAPSHOTS_A_DAY: Final = 96

_SCHEMA: Final = """
CREATE TABLE seeded (seed INTEGER NOT NULL, at TEXT NOT NULL);
CREATE TABLE faculty (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, services TEXT NOT NULL,
    hours INTEGER NOT NULL);
CREATE TABLE residents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, rotation INTEGER NOT NULL);
CREATE TABLE weeks (monday TEXT PRIMARY KEY);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, day TEXT NOT NULL, half TEXT NOT NULL,
    service TEXT NOT NULL);
CREATE INDEX blocks_by_day ON blocks (day);
CREATE TABLE absences (
    faculty_id INTEGER NOT NULL, day TEXT NOT NULL, late INTEGER NOT NULL,
    PRIMARY KEY (faculty_id, day));
CREATE INDEX absences_by_day ON absences (day);
CREATE TABLE runs (id TEXT PRIMARY KEY, made_by TEXT NOT NULL);
CREATE TABLE assignments (
    run_id TEXT NOT NULL, block_id INTEGER NOT NULL, faculty_id INTEGER NOT NULL,
    PRIMARY KEY (run_id, block_id)) WITHOUT ROWID;
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY, taken_at TEXT NOT NULL, status TEXT NOT NULL,
    body TEXT NOT NULL, digest TEXT NOT NULL);
CREATE INDEX snapshots_by_time ON snapshots (taken_at);
CREATE TABLE fallbacks (
    scenario TEXT PRIMARY KEY, id TEXT NOT NULL, valid_until TEXT NOT NULL,
    coverage_rate REAL NOT NULL, services_reduced TEXT NOT NULL);
CREATE TABLE crises (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, severity TEXT NOT NULL,
    reason TEXT NOT NULL, approved_by TEXT);
"""


def seed(db: sqlite3.Connection) -> None:
    """Fill an empty database; the caller holds the transaction."""
    number = int(os.environ.get("HERALD_DEMO_SEED") or 1)
    now = datetime.now(UTC)
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO seeded VALUES (?, ?)", (number, now.isoformat()))
    db.executemany(
        "INSERT INTO runs VALUES (?, ?)",
        ((FIRST_RUN, "first plan"), (CURRENT_RUN, "evened out, absences known")),
    )
    _add_people(db, people(number))
    today = now.date()
    first, last = today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)
    add_weeks(db, number, mondays(first, last))
    db.executemany(
        "INSERT INTO snapshots (taken_at, status, body, digest) VALUES (?, ?, ?, ?)",
        _old_snapshots(number, now),
    )


def add_weeks(db: sqlite3.Connection, number: int, wanted: Iterable[date]) -> None:
    """Make up weeks and plan them in both runs; those that exist are left alone."""
    everybody = people(number)
    for monday in wanted:
        added = db.execute("INSERT OR IGNORE INTO weeks VALUES (?)", (str(monday),))
        if added.rowcount:
            _add_week(db, everybody, week(number, monday))


def digest(body: str) -> str:
    """Return the checksum that is kept beside a snapshot."""
    return hashlib.sha256(body.encode()).hexdigest()


def _add_people(db: sqlite3.Connection, everybody: People) -> None:
    db.executemany(
        "INSERT INTO faculty VALUES (?, ?, ?, ?)",
        (
            (one.id, one.name, " ".join(sorted(one.services)), one.weekly_hours)
            for one in everybody.faculty
        ),
    )
    db.executemany(
        "INSERT INTO residents VALUES (?, ?, ?)",
        ((one.id, one.name, one.rotation) for one in everybody.residents),
    )


def _add_week(db: sqlite3.Connection, everybody: People, seven: Week) -> None:
    db.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, ?)",
        ((b.id, b.day.isoformat(), b.half, b.service) for b in seven.blocks),
    )
    db.executemany(
        "INSERT INTO absences VALUES (?, ?, ?)",
        ((a.faculty_id, a.day.isoformat(), a.late) for a in seven.absences),
    )
    # The first run did not know of late absences: it is wrong where they fall.
    early = [absence for absence in seven.absences if not absence.late]
    first = solve(problem_of(everybody, seven, absences=early), fair=False)
    current = solve(problem_of(everybody, seven))
    for run_id, plan in ((FIRST_RUN, first), (CURRENT_RUN, current)):
        pairs = cover_by_id(seven, plan).items()
        db.executemany(
            "INSERT INTO assignments VALUES (?, ?, ?)",
            ((run_id, block_id, who) for block_id, who in pairs),
        )


def _old_snapshots(number: int, now: datetime) -> Iterator[tuple[str, str, str, str]]:
    rng = random.Random(f"snapshots:{number}")
    level = 0.86
    for step in range(SNAPSHOT_DAYS * SNAPSHOTS_A_DAY, 0, -1):
        level = min(0.99, max(0.6, level + rng.gauss(0, 0.004)))
        body = json.dumps(
            {
                "fairness": round(level, 4),
                "coverage": round(min(1.0, level + 0.12), 4),
                "compliance": round(min(1.0, level + 0.1), 4),
            }
        )
        taken = now - timedelta(hours=step * 24 / SNAPSHOTS_A_DAY)
        status = rng.choices(("final", "draft", "superseded"), (8, 1, 1))[0]
        yield taken.isoformat(timespec="seconds"), status, body, digest(body)
