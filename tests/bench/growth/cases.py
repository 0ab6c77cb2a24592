"""The installations that are measured, and what is measured of each."""

from typing import NamedTuple

from tests.bench.traffic import Shape


class Case(NamedTuple):
    """An installation: distinct names, workers and queues, and tasks in the store."""

    names: int = 1_000
    workers: int = 100
    queues: int = 8
    tasks: int = 10_000

    @property
    def shape(self) -> Shape:
        """How its tasks are spread."""
        return Shape(self.names, self.workers, self.queues)

    @property
    def key(self) -> str:
        """Its key in the file of results."""
        return ",".join(map(str, self))


class Figure(NamedTuple):
    """Something that is measured: its part, its unit, and what it may grow like."""

    part: str
    text: str
    unit: str
    most: float
    """The exponent that must not be passed over a whole axis."""


AXES: dict[str, tuple[int, ...]] = {
    "names": (100, 1_000, 10_000),
    "workers": (10, 100, 1_000),
    "queues": (1, 8, 64),
    "tasks": (10_000, 100_000, 1_000_000),
}

# An event, a change and a task cost much the same wherever they stand: log n is an
# exponent of 0.1 to 0.2 here. An answer may grow with what it lists: n log n.
FLAT, LISTED = 0.25, 1.2

FIGURES = {
    "ingest": Figure("ingest", "an event, the monitor", "µs CPU", FLAT),
    "ingest_store": Figure("ingest", "an event, the store", "µs CPU", FLAT),
    "push": Figure("push", "a delivered change, the server", "µs CPU", FLAT),
    "first": Figure("pages", "first page of 100", "ms CPU", LISTED),
    "deep": Figure("pages", "page of 100 at the old end", "ms CPU", LISTED),
    "filtered": Figure("pages", "page of a name's failures", "ms CPU", LISTED),
    "overview": Figure("pages", "overview", "ms CPU", LISTED),
    "bytes": Figure("bytes", "memory of the store a task", "B", FLAT),
}
PARTS = tuple(dict.fromkeys(figure.part for figure in FIGURES.values()))


def list_cases(axes: list[str], most_tasks: int, base: Case) -> list[Case]:
    """Return the cases of some axes, each once; more tasks are one more."""
    found: dict[Case, None] = {}
    for axis in axes:
        for value in list_values(axis, most_tasks):
            found[base._replace(**{axis: value})] = None
    return list(found)


def list_values(axis: str, most_tasks: int) -> list[int]:
    """Return the values of an axis, the least first."""
    values = set(AXES[axis])
    if axis == "tasks":
        values = {one for one in values if one < most_tasks} | {most_tasks}
    return sorted(values)
