"""The residency schedule: who there is, what must be covered, and who is away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

Half = Literal["AM", "PM"]
HALVES: Final[tuple[Half, ...]] = ("AM", "PM")
HOURS_A_BLOCK: Final = 4


@dataclass(frozen=True, slots=True)
class Service:
    """Something that faculty cover; a low rank is given up last."""

    name: str
    rank: int
    weekdays: int
    weekends: int
    essential: bool = False


SERVICES: Final = (
    Service("emergency", 1, weekdays=5, weekends=4, essential=True),
    Service("icu", 2, weekdays=4, weekends=3, essential=True),
    Service("wards", 3, weekdays=6, weekends=3, essential=True),
    Service("obstetrics", 4, weekdays=2, weekends=1, essential=True),
    Service("procedures", 5, weekdays=3, weekends=0),
    Service("consults", 6, weekdays=2, weekends=0),
    Service("clinic", 7, weekdays=5, weekends=0),
    Service("teaching", 8, weekdays=1, weekends=0),
)
ESSENTIAL: Final = frozenset(s.name for s in SERVICES if s.essential)


@dataclass(frozen=True, slots=True)
class Faculty:
    """One who covers blocks: which services, and how many hours a week."""

    id: int
    name: str
    services: frozenset[str]
    weekly_hours: int


@dataclass(frozen=True, slots=True)
class Resident:
    """One who works under supervision, on a service that rotates every 4 weeks."""

    id: int
    name: str
    rotation: int


@dataclass(frozen=True, slots=True)
class Block:
    """One half-day of one service that one faculty member must cover."""

    id: int
    day: date
    half: Half
    service: str


@dataclass(frozen=True, slots=True)
class Absence:
    """A day on which somebody is away; `late` if told after the first plan."""

    faculty_id: int
    day: date
    late: bool


@dataclass(frozen=True, slots=True)
class Week:
    """The blocks and absences of the seven days from a Monday."""

    monday: date
    blocks: tuple[Block, ...]
    absences: tuple[Absence, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The seven days."""
        return tuple(self.monday + timedelta(days=n) for n in range(7))


@dataclass(frozen=True, slots=True)
class People:
    """Everybody on the schedule; `faculty[i].id == i`."""

    faculty: tuple[Faculty, ...]
    residents: tuple[Resident, ...]


_FIRST: Final = (
    *("Ada", "Bela", "Cem", "Dana", "Emil", "Fay", "Gus", "Hana"),
    *("Ines", "Jon", "Kaya", "Leo", "Mira", "Noor", "Otto", "Pia"),
)
_LAST: Final = (
    *("Abara", "Brandt", "Costa", "Dietz", "Eriksen", "Fontaine", "Greco", "Haddad"),
    *("Ito", "Jansen", "Kowal", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov"),
)
_TRAINED: Final = (
    *("emergency", "icu", "wards", "obstetrics", "emergency", "procedures"),
    *("wards", "clinic", "icu", "consults", "wards", "teaching"),
)
FACULTY_COUNT: Final = 72
RESIDENT_COUNT: Final = 64


def people(seed: int) -> People:
    """Make up the faculty and the residents of a seed."""
    rng = random.Random(f"people:{seed}")
    names = [f"Dr. {first} {last}" for first in _FIRST for last in _LAST]
    chosen = rng.sample(names, FACULTY_COUNT + RESIDENT_COUNT)
    faculty = tuple(_faculty(rng, n, chosen[n]) for n in range(FACULTY_COUNT))
    residents = tuple(
        Resident(n, chosen[FACULTY_COUNT + n], n % len(SERVICES))
        for n in range(RESIDENT_COUNT)
    )
    return People(faculty, residents)


def _faculty(rng: random.Random, number: int, name: str) -> Faculty:
    # What one trained for goes round, so that no service is without anybody;
    # the busier a service, the more have learnt it besides. Nobody learns
    # obstetrics besides: the few who can are where the schedule is thin.
    trained = _TRAINED[number % len(_TRAINED)]
    besides = [service for service in SERVICES if service.name != "obstetrics"]
    weights = [service.weekdays for service in besides]
    learnt = rng.choices(besides, weights, k=rng.choice((1, 2, 2)))
    services = frozenset({trained, *(service.name for service in learnt)})
    return Faculty(number, name, services, rng.choice((20, 20, 24, 24)))


def monday_of(day: date) -> date:
    """Return the Monday of the week of a day."""
    return day - timedelta(days=day.weekday())


def mondays(first: date, last: date) -> Iterator[date]:
    """Walk over the Mondays of all weeks that a period touches."""
    monday = monday_of(first)
    while monday <= last:
        yield monday
        monday += timedelta(days=7)


def week(seed: int, monday: date) -> Week:
    """Make up one week; the same seed and Monday always give the same week."""
    rng = random.Random(f"week:{seed}:{monday.isoformat()}")
    return Week(monday, tuple(_blocks(monday)), tuple(_absences(rng, monday)))


def _blocks(monday: date) -> Iterator[Block]:
    number = monday.toordinal() * 1000
    for offset in range(7):
        for half in HALVES:
            for service in SERVICES:
                many = service.weekdays if offset < 5 else service.weekends
                for _ in range(many):
                    day = monday + timedelta(days=offset)
                    yield Block(number, day, half, service.name)
                    number += 1


def _absences(rng: random.Random, monday: date) -> Iterator[Absence]:
    for faculty_id in range(FACULTY_COUNT):
        late = rng.random() < 0.25
        for offset in _days_off(rng, monday):
            yield Absence(faculty_id, monday + timedelta(days=offset), late)


def _days_off(rng: random.Random, monday: date) -> range:
    # Whole weeks in the holiday season, single days all the year.
    season = monday.month in (7, 8) or (monday.month == 12 and monday.day > 14)
    draw = rng.random()
    if draw < (0.06 if season else 0.03):
        return range(7)
    if draw < 0.12:
        start = rng.randrange(5)
        return range(start, min(start + rng.choice((1, 1, 2)), 7))
    return range(0)


def on_service(resident: Resident, day: date) -> str | None:
    """Name the service on which a resident works; None on their day off."""
    weeks = day.toordinal() // 7
    if (resident.id + weeks) % 7 == day.weekday():
        return None
    return SERVICES[(resident.rotation + weeks // 4) % len(SERVICES)].name
