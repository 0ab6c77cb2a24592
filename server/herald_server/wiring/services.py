"""Build the objects that all APIs of a server process share, and its
background tasks."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.alerts.apprise_sender import check_receivers
from herald_server.alerts.receivers import AlertSettings
from herald_server.alerts.toml import read_alert_settings
from herald_server.api.context import (
    CeleryMetricsOptions,
    RetentionSettings,
    ServerContext,
)
from herald_server.auth import request_context
from herald_server.auth.audit import AuditLog
from herald_server.auth.backend_lookup import BackendLookup
from herald_server.auth.page_token_seal import PageTokenCipher
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import AccountRegistry
from herald_server.auth.quotas.start_limits import StartLimits
from herald_server.auth.scoped_store import get_unscoped, scope_store
from herald_server.catalog.catalog import Catalog
from herald_server.catalog.links import read_links
from herald_server.catalog.signatures import list_types
from herald_server.control.bulk.build import Bulk, build_bulk
from herald_server.control.bulk.request import BulkLimits
from herald_server.control.cancel.replay import CancelReplay
from herald_server.control.control import Control
from herald_server.control.queue_name_publisher import publish_queue_names
from herald_server.control.start.consent import TicketIssuer
from herald_server.control.workers.keeper import WorkerOrderKeeper
from herald_server.control.workers.service import WorkerControl
from herald_server.insight.failures.recorder import CauseRecorder
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.status import ServerStatus
from herald_server.webhooks.admin import WebhookAdmin
from herald_server.webhooks.ssrf_guard import SsrfGuard, parse_networks
from herald_server.webhooks.toml import read_endpoints
from herald_server.wiring.alerts import keep_alerts
from herald_server.wiring.settings import ServerSettings

MAX_EVIDENCE_LAG_MS = 2_000
"""Age of the data in ms above which a missing event proves nothing."""

FIRST_STATUS_TIMEOUT_S = 1.5
"""Seconds in which workers answer with their registered tasks before this server
serves."""


def build_context(
    settings: ServerSettings, store: Store, app: Celery | None
) -> ServerContext:
    """Return the server context. `app` is None if nothing can be published."""
    hub, metrics = Hub(), PushMetrics()
    log_reader = LogReader(store, hub)
    status = ServerStatus(store, log_reader)
    node = _make_node_name(settings)
    audit = AuditLog(store, settings.audit_log, node)
    redact = Redactor(settings.redact)
    catalog = load_catalog(settings, app)
    control = backend = worker_control = bulk = None
    if app is not None:
        limits = StartLimits(
            settings.starts_per_minute, settings.starts_per_minute_per_type, metrics
        )
        consents = TicketIssuer(store, settings.confirm)
        control = Control(app, store, hub, catalog, redact, limits, audit, consents)
        backend = ResultBackend(app, redact, request_context.charge_caller)
        worker_control = WorkerControl(
            app, store, audit, enabled=settings.worker_control
        )
        bulk = _build_bulk(settings, control, store, audit, status, node)
    lookup = BackendLookup(backend, lambda: status.find_staleness() is not None)
    return ServerContext(
        scope_store(store, lookup, _make_page_cipher(settings)),
        *(hub, log_reader, status, control, node),
        metrics=metrics,
        accounts=_make_accounts(settings, metrics),
        audit=audit,
        webhooks=_make_webhook_admin(settings, store, audit),
        backend=backend,
        bulk=bulk,
        retention=RetentionSettings(settings.retention, settings.keep_unfinished),
        worker_control=worker_control,
        types=catalog,
        celery_metrics=CeleryMetricsOptions(
            settings.metrics_runtime_buckets,
            settings.metrics_wait_buckets,
            settings.metrics_default_queue,
        ),
        links=read_links(settings.catalog) if settings.catalog else (),
        alert_settings=_read_alert_settings(settings),
    )


def _read_alert_settings(settings: ServerSettings) -> AlertSettings:
    found = read_alert_settings(settings.catalog)
    check_receivers(found.receivers)
    return found


def _build_bulk(
    settings: ServerSettings,
    control: Control,
    store: Store,
    audit: AuditLog,
    status: ServerStatus,
    node: str,
) -> Bulk:
    def is_current() -> bool:
        lag_ms = status.compute_lag_ms(time.monotonic())
        fresh = lag_ms is not None and lag_ms <= MAX_EVIDENCE_LAG_MS
        return fresh and status.find_staleness() is None

    limits = BulkLimits(
        settings.bulk_max_tasks,
        settings.bulk_admin_above,
        settings.bulk_per_second,
        settings.bulk_max_per_second,
    )
    return build_bulk(control, store, audit, limits, _make_owner(node), is_current)


def _make_owner(node: str) -> str:
    # Two processes may have the same name in a container; a lease has one owner.
    return f"{node}-{uuid4().hex[:8]}"


def _make_node_name(settings: ServerSettings) -> str:
    if settings.node and settings.workers == 1:
        return settings.node
    return f"{settings.node or socket.gethostname()}-{os.getpid()}"


def load_catalog(settings: ServerSettings, app: Celery | None) -> Catalog:
    """Return the declared catalog; otherwise the tasks that `app` registers.

    Raises `CatalogError`.
    """
    path = settings.catalog
    catalog = Catalog.from_toml(path) if path else Catalog.make_undeclared()
    if app is not None and catalog.is_learning:
        catalog.add_registered(list_types(app))
    return catalog


def _make_accounts(settings: ServerSettings, metrics: PushMetrics) -> AccountRegistry:
    return AccountRegistry(
        settings.cpu_per_token,
        settings.cpu_per_address,
        settings.filter_values_per_token,
        metrics,
    )


def _make_page_cipher(settings: ServerSettings) -> PageTokenCipher | None:
    secret = settings.signing_secret
    return PageTokenCipher(secret) if secret else None


def _make_webhook_admin(
    settings: ServerSettings, store: Store, audit: AuditLog
) -> WebhookAdmin:
    static = read_endpoints(settings.catalog) if settings.catalog else ()
    return WebhookAdmin(
        store, SsrfGuard(parse_networks(settings.webhooks_allow)), static, audit
    )


@asynccontextmanager
async def run_background_tasks(shared: ServerContext) -> AsyncGenerator[None]:
    """Run the log reader, the status and the cancel replay while the block runs.

    Raises `StoreError` if the log's end cannot be read.
    """
    await shared.log_reader.start()
    if shared.webhooks is not None:
        await shared.webhooks.place_static_endpoints()
    try:
        async with (
            run_in_background(
                shared.log_reader.run(),
                shared.status.run(),
                _record_causes(shared),
                keep_alerts(shared),
            ),
            _run_control(shared, shared.control),
        ):
            yield
    finally:
        if shared.backend:
            await shared.backend.close()


async def _record_causes(shared: ServerContext) -> None:
    """Keep the documents of causes of failures up to date, until cancelled."""
    store: Store = get_unscoped(shared.store)
    owner = f"{shared.node}-{uuid4().hex[:8]}"
    await CauseRecorder(store, shared.hub, shared.failure_minutes, owner).run()


@asynccontextmanager
async def _run_control(
    shared: ServerContext, control: Control | None
) -> AsyncGenerator[None]:
    if control is None:
        yield
        return
    await control.consents.load_key()
    # Clients read the list of task types once.
    with anyio.move_on_after(FIRST_STATUS_TIMEOUT_S):
        await control.registered.ask_new_workers()
    assert shared.bulk is not None
    try:
        async with run_in_background(
            shared.bulk.runner.run(),
            _replay_cancels(shared, control),
            _keep_worker_orders(shared),
            control.registered.run(),
            publish_queue_names(shared.store, control.catalog, shared.node),
        ):
            yield
    finally:
        await control.locator.close()


async def _replay_cancels(shared: ServerContext, control: Control) -> None:
    """Send pending cancels to workers that join, until cancelled."""
    owner = _make_owner(shared.node)
    await CancelReplay(control.canceller, shared.store, shared.hub, owner).run()


async def _keep_worker_orders(shared: ServerContext) -> None:
    """Keep pauses in force, and conclude orders to workers, until cancelled."""
    service = shared.worker_control
    if service is None:
        return
    owner = f"{shared.node}-{uuid4().hex[:8]}"
    store: Store = get_unscoped(shared.store)
    await WorkerOrderKeeper(
        service.pauses, service.orders, store, shared.hub, owner
    ).run()
