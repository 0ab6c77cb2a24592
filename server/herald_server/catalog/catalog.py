"""The task types that can be started, and their validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from herald_core.model.filters import Filter
from herald_core.model.patterns import compile_glob
from herald_server.auth import request_context
from herald_server.catalog.shipped import SHIPPED
from herald_server.catalog.toml import read_catalog
from herald_server.catalog.types import CatalogError, Param, TaskType, suggest_name

__all__ = ["Catalog", "CatalogError", "Param", "TaskType"]

MAX_NAME_CHARS: Final = 255
"""Characters of a task's name."""

MAX_REGISTERED_TYPES: Final = 1_000


class Catalog:
    """Task types by name: declared ones, and those that workers register.

    Tasks that match `allow`, globs of Celery names, can be started by that name.
    Registered tasks (`add_registered`) are listed; they can be started only if they are
    declared or allowed. `queues` are globs of queues that may be used besides those of
    types, settings and workers.

    A task-scoped token sees only types whose tasks it could see.
    """

    def __init__(
        self,
        task_types: Iterable[TaskType] = SHIPPED,
        allow: Iterable[str] = (),
        queues: Iterable[str] = (),
    ) -> None:
        self._allowed_names = tuple(allow)
        self.queues = tuple(queues)
        self._declared: dict[str, TaskType] = {}
        self._by_celery_name: dict[str, tuple[TaskType, ...]] = {}
        for kind in task_types:
            self._add_declared(kind)
        self._registered: dict[str, TaskType] = {}
        self.is_learning = not self._declared
        """Whether no types are declared, so that the registered ones are listed."""

    @classmethod
    def load_shipped(cls) -> Catalog:
        """Return the ten task types that Herald ships."""
        return cls(SHIPPED)

    @classmethod
    def make_undeclared(cls) -> Catalog:
        """Return a catalog of registered tasks only."""
        return cls(())

    @classmethod
    def from_toml(cls, path: Path) -> Catalog:
        """Return the task types of a `herald.toml`; raise `CatalogError`."""
        return cls(*read_catalog(path))

    def __iter__(self) -> Iterator[TaskType]:
        for kind in tuple(self._declared.values()):
            if _is_visible(kind.celery_name):
                yield kind
        for name in tuple(self._registered):
            if _is_visible(name):
                yield self._make_registered(name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        declared = self._declared.get(str(name))
        if declared is not None:
            return _is_visible(declared.celery_name)
        return name in self._registered and _is_visible(str(name))

    def __getitem__(self, name: str) -> TaskType:
        """Return the task type; raise `CatalogError` that lists what exists."""
        return self.resolve(name)[0]

    def add_registered(self, kinds: Iterable[TaskType]) -> None:
        """Add the tasks that an app or its workers register, if nothing is declared.

        The shipped types are those of Herald's sample project: they count as declared
        where their tasks are registered.
        """
        if not self.is_learning:
            return
        shipped = {kind.celery_name: kind for kind in SHIPPED}
        for kind in kinds:
            if found := shipped.get(kind.celery_name):
                self._add_declared(found)
            elif len(self._registered) < MAX_REGISTERED_TYPES:
                self._registered.setdefault(kind.celery_name, kind)

    @property
    def allowed_names(self) -> tuple[str, ...]:
        """The globs of Celery names that may be started by that name."""
        only = request_context.get_task_filter()
        return (
            self._allowed_names
            if only is None
            else _restrict_globs(self._allowed_names, only)
        )

    @property
    def queue_names(self) -> list[str]:
        """Queues of the task types."""
        return sorted({kind.queue for kind in self if kind.queue and kind.startable})

    def resolve(self, name: str) -> tuple[TaskType, ...]:
        """Return the types of `name`: a type's name, or a Celery name.

        A Celery name that is allowed and in the catalog stands for its types, so that
        their scope, confirmation and checks apply. Raises `CatalogError` that lists the
        known names.
        """
        declared = self._declared.get(name)
        if declared is not None and _is_visible(declared.celery_name):
            return (declared,)
        if self._is_allowed(name):
            return self.list_types(name)
        if name in self._registered and _is_visible(name):
            return (self._make_registered(name),)
        raise CatalogError(
            self._describe_unknown(name), task_type=name[:MAX_NAME_CHARS]
        )

    def list_types(self, celery_name: str) -> tuple[TaskType, ...]:
        """Return the types under which tasks of a Celery name can be started."""
        exists = _is_visible(celery_name)
        found = self._by_celery_name.get(celery_name, ()) if exists else ()
        if found or not self._is_allowed(celery_name):
            return found
        if celery_name in self._registered and exists:
            return (self._make_registered(celery_name),)
        return (TaskType(celery_name, celery_name, any_params=True, title=celery_name),)

    def find_by_celery_name(self, celery_name: str) -> TaskType | None:
        """Return a type of a Celery name; None if there is none."""
        if not _is_visible(celery_name):
            return None
        if found := self._by_celery_name.get(celery_name):
            return found[0]
        return (
            self._make_registered(celery_name)
            if celery_name in self._registered
            else None
        )

    def check_params(
        self, task_type: str, params: Mapping[str, object], today: date
    ) -> dict[str, object]:
        """Return validated keyword arguments with defaults, ready for JSON.

        Raises `CatalogError` for an unknown type, an unknown parameter or a failed
        check.
        """
        return self[task_type].check_params(params, today)

    def _add_declared(self, kind: TaskType) -> None:
        if kind.name in self._declared:
            return
        self._declared[kind.name] = kind
        others = self._by_celery_name.get(kind.celery_name, ())
        self._by_celery_name[kind.celery_name] = (*others, kind)

    def _make_registered(self, celery_name: str) -> TaskType:
        """Return a registered type: its parameters are documented, but
        not validated."""
        return replace(
            self._registered[celery_name],
            any_params=True,
            startable=self._is_allowed(celery_name),
        )

    def _is_allowed(self, celery_name: str) -> bool:
        return is_valid_name(celery_name) and any(
            compile_glob(pattern)(celery_name) for pattern in self._allowed_names
        )

    def _describe_unknown(self, name: str) -> str:
        known = [kind.name for kind in self]
        declared = [kind for kind in known if kind in self._declared]
        names = (*declared, *self.allowed_names)
        listed = ", ".join(names) or "none, for no herald.toml declares or allows any"
        return (
            f"unknown task type {name[:MAX_NAME_CHARS]!r}{suggest_name(name, known)}; "
            f"available: {listed}"
        )


def _is_visible(celery_name: str) -> bool:
    """Return True if the caller can see tasks of that name."""
    only = request_context.get_task_filter()
    return only is None or only.permits_name(celery_name)


def _restrict_globs(allow: Iterable[str], only: Filter) -> tuple[str, ...]:
    """Return the globs of `allow` that a token with the filter `only` may see."""
    if only.also is not None:
        allow = _restrict_globs(allow, only.also)
    if only.name is None:
        return tuple(allow)
    found: dict[str, None] = {}
    for pattern in allow:
        if only.names.matches(pattern):
            found[pattern] = None
        found |= {name: None for name in only.name if compile_glob(pattern)(name)}
    return tuple(found)


def is_valid_name(text: str) -> bool:
    """Return True if `text` is a valid task name: it is written to headers and logs."""
    return 0 < len(text) <= MAX_NAME_CHARS and text.isprintable()
