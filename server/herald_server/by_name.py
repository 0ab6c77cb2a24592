"""What the minutes tell of each task name, and of the types in the catalog. Pure."""

from __future__ import annotations

from herald_monitor.model.rollups import OTHER, Rollup
from herald_server.catalog import Catalog
from herald_server.series import Figures, Runtime, failure_rate, runtime


class NameFigures(Figures, frozen=True, omit_defaults=True, kw_only=True):
    """Tasks of one name. `task_type` is what the catalog calls it, if it does.

    `startable`: it may be started through Herald.
    """

    name: str
    task_type: str | None = None
    description: str | None = None
    startable: bool = False


def by_name(
    total: Rollup, catalog: Catalog, *, listed: bool = False
) -> list[NameFigures]:
    """Return the figures of each name in a sum of minutes, the most frequent first.

    `listed`: those of the catalog too that did not occur, behind the others.
    """
    names = [name for name in total.names if name != OTHER]
    if listed:
        names += [k.celery_name for k in catalog if k.celery_name not in total.names]
    found = [
        _figures(name, total.names.get(name, {}), _runtime(total, name), catalog)
        for name in names
    ]
    return sorted(found, key=lambda one: (-how_many(one), one.name))


def how_many(one: Figures) -> int:
    """Return how many tasks that were, as far as is known: not all words are heard."""
    words = ("submitted", "received", "started")
    return max(one.counts.get(word, 0) for word in words)


def _runtime(total: Rollup, name: str) -> Runtime | None:
    return runtime(total.runtimes_of.get(name, {}))


def _figures(
    name: str, counts: dict[str, int], took: Runtime | None, catalog: Catalog
) -> NameFigures:
    kind = catalog.of_celery_name(name)
    return NameFigures(
        name=name,
        task_type=kind.name if kind else None,
        description=kind.description if kind else None,
        startable=bool(kind and kind.startable),
        counts=counts,
        failure_rate=failure_rate(counts),
        runtime=took,
    )
