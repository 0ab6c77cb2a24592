"""The metrics, from the families that `/metrics` is made of."""

import asyncio
from typing import Any, cast

from prometheus_client.core import Metric

from herald_core.store.memory.store import MemoryStore
from herald_server.api.context import ServerContext
from herald_server.api.observability.metrics import read_metrics
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.status import ServerStatus
from tests.support.reference.tables import write_table


def write_metrics() -> str:
    """Return all metrics as a table."""
    families = sorted(asyncio.run(_read()), key=lambda one: one.name)
    rows = [
        (f"`{_get_name(one)}`", one.type, _list_labels(one), one.documentation)
        for one in families
    ]
    return write_table(("name", "type", "labels", "meaning"), rows)


async def _read() -> list[Metric]:
    store, hub = MemoryStore(), Hub()
    feed = LogReader(store, hub)
    shared = ServerContext(store, hub, feed, ServerStatus(store, feed))
    return await read_metrics(shared, {"another": None})


def _get_name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _list_labels(family: Metric) -> str:
    # Families without samples, too, know their labels.
    labels = cast("tuple[str, ...]", getattr(cast(Any, family), "_labelnames", ()))
    return " ".join(f"`{one}`" for one in labels)
