"""The task types that may be started, and the one check before a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from herald_monitor.model.filters import Filter
from herald_monitor.model.patterns import glob
from herald_server import caller
from herald_server.catalog_shipped import SHIPPED
from herald_server.catalog_toml import read_catalog
from herald_server.catalog_types import CatalogError, Param, TaskType, closest

__all__ = ["Catalog", "CatalogError", "Param", "TaskType"]

MAX_NAME: Final = 255
"""Characters of a task's name."""

MAX_REGISTERED: Final = 1_000


class Catalog:
    """Task types by name: those that are declared, and those that are registered.

    What matches `allow`, globs of Celery names, may be started by that name. Tasks
    that somebody registers (`learn`) can be read of; they are started only if they
    are declared or allowed. `queues` are globs of queues that may be sent to besides
    those that types, settings and workers name.

    For a narrow token only types exist whose tasks it could see.
    """

    def __init__(
        self,
        task_types: Iterable[TaskType] = SHIPPED,
        allow: Iterable[str] = (),
        queues: Iterable[str] = (),
    ) -> None:
        self._allow = tuple(allow)
        self.queues = tuple(queues)
        self._declared: dict[str, TaskType] = {}
        self._by_celery_name: dict[str, tuple[TaskType, ...]] = {}
        for kind in task_types:
            self._declare(kind)
        self._registered: dict[str, TaskType] = {}
        self.learns = not self._declared
        """Whether no types are declared, so that it holds what is registered."""

    @classmethod
    def shipped(cls) -> Catalog:
        """Return the ten task types that Herald ships."""
        return cls(SHIPPED)

    @classmethod
    def undeclared(cls) -> Catalog:
        """Return a catalog that knows what it learns, and nothing else."""
        return cls(())

    @classmethod
    def from_toml(cls, path: Path) -> Catalog:
        """Return the task types of a `herald.toml`; raise `CatalogError`."""
        return cls(*read_catalog(path))

    def __iter__(self) -> Iterator[TaskType]:
        for kind in tuple(self._declared.values()):
            if _exists(kind.celery_name):
                yield kind
        for name in tuple(self._registered):
            if _exists(name):
                yield self._read(name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(kind.name == name for kind in self)

    def __getitem__(self, name: str) -> TaskType:
        """Return the task type; raise `CatalogError` that lists what exists."""
        return self.resolve(name)[0]

    def learn(self, kinds: Iterable[TaskType]) -> None:
        """Take note of what an app or its workers register, if nothing is declared.

        The types that Herald ships are those of its sample project: where their
        tasks are registered they are declared.
        """
        if not self.learns:
            return
        shipped = {kind.celery_name: kind for kind in SHIPPED}
        for kind in kinds:
            if found := shipped.get(kind.celery_name):
                self._declare(found)
            elif len(self._registered) < MAX_REGISTERED:
                self._registered.setdefault(kind.celery_name, kind)

    @property
    def allow(self) -> tuple[str, ...]:
        """The globs of Celery names that may be started by that name."""
        only = caller.only()
        return self._allow if only is None else _within(self._allow, only)

    @property
    def queue_names(self) -> list[str]:
        """The queues that task types name."""
        return sorted({kind.queue for kind in self if kind.queue and kind.startable})

    def resolve(self, name: str) -> tuple[TaskType, ...]:
        """Return the types that `name` asks for: a type's name, or a Celery name.

        A Celery name that is allowed and catalogued stands for its types, so that
        their scope, confirmation and checks hold. Raises `CatalogError` that lists
        what exists.
        """
        declared = self._declared.get(name)
        if declared is not None and _exists(declared.celery_name):
            return (declared,)
        if self._is_allowed(name):
            return self.types_for(name)
        if name in self._registered and _exists(name):
            return (self._read(name),)
        raise CatalogError(self._unknown(name), task_type=name[:MAX_NAME])

    def types_for(self, celery_name: str) -> tuple[TaskType, ...]:
        """Return the types under which tasks of a Celery name may start."""
        exists = _exists(celery_name)
        found = self._by_celery_name.get(celery_name, ()) if exists else ()
        if found or not self._is_allowed(celery_name):
            return found
        if celery_name in self._registered and exists:
            return (self._read(celery_name),)
        return (TaskType(celery_name, celery_name, any_params=True, title=celery_name),)

    def of_celery_name(self, celery_name: str) -> TaskType | None:
        """Return a task type that runs under a Celery name, if there is one."""
        if not _exists(celery_name):
            return None
        if found := self._by_celery_name.get(celery_name):
            return found[0]
        return self._read(celery_name) if celery_name in self._registered else None

    def check(
        self, task_type: str, params: Mapping[str, object], today: date
    ) -> dict[str, object]:
        """Return the keyword arguments to send, defaults filled in, JSON-ready.

        Raises `CatalogError` with one sentence for an unknown type, an unknown
        parameter or a failed check.
        """
        return self[task_type].check(params, today)

    def _declare(self, kind: TaskType) -> None:
        if kind.name in self._declared:
            return
        self._declared[kind.name] = kind
        others = self._by_celery_name.get(kind.celery_name, ())
        self._by_celery_name[kind.celery_name] = (*others, kind)

    def _read(self, celery_name: str) -> TaskType:
        """Return a registered type: what it takes is told, and not checked."""
        return replace(
            self._registered[celery_name],
            any_params=True,
            startable=self._is_allowed(celery_name),
        )

    def _is_allowed(self, celery_name: str) -> bool:
        return is_name(celery_name) and any(
            glob(pattern)(celery_name) for pattern in self._allow
        )

    def _unknown(self, name: str) -> str:
        known = [kind.name for kind in self]
        declared = [kind for kind in known if kind in self._declared]
        names = (*declared, *self.allow)
        listed = ", ".join(names) or "none, for no herald.toml declares or allows any"
        return (
            f"unknown task type {name[:MAX_NAME]!r}{closest(name, known)}; "
            f"available: {listed}"
        )


def _exists(celery_name: str) -> bool:
    """Say whether tasks of that name may exist for who is being served."""
    only = caller.only()
    return only is None or only.permits_name(celery_name)


def _within(allow: Iterable[str], only: Filter) -> tuple[str, ...]:
    """Return `allow` as far as a token that is narrowed to `only` may know it."""
    if only.also is not None:
        allow = _within(allow, only.also)
    if only.name is None:
        return tuple(allow)
    found: dict[str, None] = {}
    for pattern in allow:
        if only.names.matches(pattern):
            found[pattern] = None
        found |= {name: None for name in only.name if glob(pattern)(name)}
    return tuple(found)


def is_name(text: str) -> bool:
    """Say whether a task may be called `text`: it travels in headers and in logs."""
    return 0 < len(text) <= MAX_NAME and text.isprintable()
