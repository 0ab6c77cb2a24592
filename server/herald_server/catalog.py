"""The task types that may be started, and the one check before a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from herald_monitor.model.filters import glob
from herald_server.catalog_shipped import SHIPPED
from herald_server.catalog_toml import read_catalog
from herald_server.catalog_types import CatalogError, Param, TaskType, closest

__all__ = ["Catalog", "CatalogError", "Param", "TaskType"]


class Catalog:
    """Task types by name; without any given, the ten that Herald ships.

    What matches `allow`, globs of Celery names, may be started by that name, with
    any parameters.
    """

    def __init__(
        self, task_types: Iterable[TaskType] = SHIPPED, allow: Iterable[str] = ()
    ) -> None:
        self.allow = tuple(allow)
        self._by_name = {kind.name: kind for kind in task_types}
        self._by_celery_name = {kind.celery_name: kind for kind in self}

    @classmethod
    def shipped(cls) -> Catalog:
        """Return the ten task types that Herald ships."""
        return cls(SHIPPED)

    @classmethod
    def from_toml(cls, path: Path) -> Catalog:
        """Return the task types of a `herald.toml`; raise `CatalogError`."""
        return cls(*read_catalog(path))

    def __iter__(self) -> Iterator[TaskType]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> TaskType:
        """Return the task type; raise `CatalogError` that lists what exists."""
        if name in self._by_name:
            return self._by_name[name]
        if found := self.allowed(name):
            return found
        names = (*self._by_name, *self.allow)
        raise CatalogError(
            f"unknown task type {name!r}{closest(name, self._by_name)}; "
            f"available: {', '.join(names)}",
            task_type=name,
        )

    def allowed(self, name: str) -> TaskType | None:
        """Return what starts tasks by their Celery name, if `allow` allows it."""
        if not any(glob(pattern)(name) for pattern in self.allow):
            return None
        return TaskType(name, name, any_params=True, title=name)

    def of_celery_name(self, celery_name: str) -> TaskType | None:
        """Return the task type that runs under a Celery name, if there is one."""
        return self._by_celery_name.get(celery_name)

    def check(
        self, task_type: str, params: Mapping[str, object], today: date
    ) -> dict[str, object]:
        """Return the keyword arguments to send, defaults filled in, JSON-ready.

        Raises `CatalogError` with one sentence for an unknown type, an unknown
        parameter or a failed check.
        """
        return self[task_type].check(params, today)
