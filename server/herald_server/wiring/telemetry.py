"""Export spans and metrics of OpenTelemetry from a server process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from herald_core.errors import InvalidInput
from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_server.api.context import ServerContext
from herald_server.api.observability.store_metrics import read_store_metrics
from herald_server.auth.scoped_store import get_unscoped
from herald_server.wiring.settings import ServerSettings

TELEMETRY_MISSING = (
    "HERALD_OTLP_ENDPOINT needs packages that are not installed: "
    "pip install 'celery-herald[otel]'"
)


@asynccontextmanager
async def run_telemetry(
    shared: ServerContext, settings: ServerSettings
) -> AsyncGenerator[None]:
    """Export while the block runs, if a collector is named.

    Raises `InvalidInput` if packages are missing.
    """
    if not settings.otlp_endpoint:
        yield
        return
    try:
        from herald_server.telemetry.exporter import TelemetryExporter
    except ModuleNotFoundError:
        raise InvalidInput(TELEMETRY_MISSING) from None
    store: Store = get_unscoped(shared.store)
    exporter = TelemetryExporter(
        settings.otlp_endpoint,
        settings.otlp_interval,
        store,
        shared.hub,
        lambda: read_store_metrics(shared),
        f"{shared.node}-{uuid4().hex[:8]}",
    )
    async with run_in_background(exporter.run()):
        yield
