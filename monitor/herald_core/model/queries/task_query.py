"""A selection of tasks: the structured filter, texts, times, and an order. Pure."""

from __future__ import annotations

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.queries.text_term import TextTerm
from herald_core.model.queries.value_range import RANGE_FIELDS, ValueRange
from herald_core.model.tasks.views import TaskView

SORT_FIELDS = (*RANGE_FIELDS,)
"""Values of a task by which lists can be ordered."""


class Sort(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order by one of `SORT_FIELDS`; tasks without the value come last."""

    field: str
    descending: bool = True


class TaskQuery(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A selection of tasks. An empty query matches every task.

    `after` and `before` limit the first arrival of a task (unix seconds, from `after`
    up to before `before`); a store applies them, since a `TaskView` does not carry that
    time. Everything else is decided by `matches`.
    """

    filter: Filter = Filter()
    excluded: tuple[Filter, ...] = ()
    terms: tuple[TextTerm, ...] = ()
    excluded_terms: tuple[TextTerm, ...] = ()
    ranges: tuple[ValueRange, ...] = ()
    excluded_ranges: tuple[ValueRange, ...] = ()
    after: float | None = None
    before: float | None = None
    sort: Sort | None = None

    def matches(self, task: TaskView, now: float) -> bool:
        """Return True if `task` matches at `now`, whenever it arrived."""
        return (
            self.filter.matches(task)
            and not any(one.matches(task) for one in self.excluded)
            and all(term.matches(task) for term in self.terms)
            and not any(term.matches(task) for term in self.excluded_terms)
            and all(one.matches(task, now) for one in self.ranges)
            and not any(one.matches(task, now) for one in self.excluded_ranges)
        )

    def contains_arrival(self, at: float) -> bool:
        """Return True if a first arrival `at` (unix seconds) is in the time range."""
        return (self.after is None or at >= self.after) and (
            self.before is None or at < self.before
        )

    def narrow(self, only: Filter | None) -> TaskQuery:
        """Return the query restricted to what `only` matches."""
        if only is None:
            return self
        return msgspec.structs.replace(self, filter=self.filter.intersect(only))

    @property
    def is_filter(self) -> bool:
        """True if `filter`, `after` and `before` alone decide."""
        return not (
            self.excluded
            or self.terms
            or self.excluded_terms
            or self.ranges
            or self.excluded_ranges
        )


def parse_sort(text: str | None) -> Sort | None:
    """Return the order that `text` names: `-runtime` descending, `runtime` ascending.

    Raises `InvalidInput`.
    """
    if not text:
        return None
    field = text.removeprefix("-")
    if field not in SORT_FIELDS:
        raise InvalidInput(
            f"sort is one of {', '.join(SORT_FIELDS)}, with - before it for the "
            f"largest or newest first; not {text[:40]!r}",
            "sort",
        )
    return Sort(field, descending=text.startswith("-"))
