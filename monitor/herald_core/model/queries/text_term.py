"""A text that is looked for in the texts of a task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import msgspec

from herald_core.model.patterns import compile_glob, is_glob
from herald_core.model.queries.argument_values import find_argument
from herald_core.model.tasks.views import TaskView

ANYWHERE = "any"
"""Where bare words are looked for."""

FULL_TEXT = "text"
ID_PREFIX = "id"

FIELDS_BY_PLACE: dict[str, tuple[str, ...]] = {
    ANYWHERE: ("name", "args", "kwargs", "exception"),
    FULL_TEXT: ("name", "args", "kwargs", "result", "exception", "traceback"),
    "name": ("name",),
    "args": ("args",),
    "kwargs": ("kwargs",),
    "result": ("result",),
    "exception": ("exception",),
    "error": ("exception", "traceback"),
    "traceback": ("traceback",),
    ID_PREFIX: (),
}
"""The texts of a task in which a term is looked for, by its place. `any` and `text`
match the beginning of the id as well; `id` matches nothing else."""


class TextTerm(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A text in a task, without regard to case; one of `texts` suffices.

    `place` is a key of `FIELDS_BY_PLACE`. A `path` into `args` or `kwargs` compares one
    whole value with `texts`, in which `*` and `?` are wildcards then.
    """

    texts: tuple[str, ...]
    place: str = ANYWHERE
    path: tuple[str, ...] = ()

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The texts in lower case."""
        return tuple(text.lower() for text in self.texts)

    @cached_property
    def _tests(self) -> tuple[Callable[[str], bool], ...]:
        return tuple(_make_test(text) for text in self.folded)

    def matches(self, task: TaskView) -> bool:
        """Return True if `task` has one of the texts there."""
        if self.path:
            value = find_argument(getattr(task, self.place), self.path)
            return value is not None and any(
                test(value.lower()) for test in self._tests
            )
        if self.place in (ANYWHERE, FULL_TEXT, ID_PREFIX):
            id_ = task.id.lower()
            if any(id_.startswith(text) for text in self.folded):
                return True
        return any(
            text in field for field in self._iter_fields(task) for text in self.folded
        )

    def _iter_fields(self, task: TaskView) -> Iterator[str]:
        for name in FIELDS_BY_PLACE[self.place]:
            if field := getattr(task, name):
                yield field.lower()


def _make_test(text: str) -> Callable[[str], bool]:
    return compile_glob(text) if is_glob(text) else lambda value: value == text
