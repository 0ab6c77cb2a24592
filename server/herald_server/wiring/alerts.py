"""Run what fires alerts, and sends their notices, in a server process."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from herald_core.store.ports import Store
from herald_server.alerts.apprise_sender import send_text
from herald_server.alerts.delivery import AlertSender
from herald_server.alerts.facts_reader import FactsReader
from herald_server.alerts.heartbeat import send_heartbeats
from herald_server.alerts.keeper import AlertKeeper
from herald_server.api.context import ServerContext
from herald_server.auth.scoped_store import get_unscoped


async def keep_alerts(shared: ServerContext) -> None:
    """Fire and resolve alerts, until cancelled, while this process holds the lease."""
    keeper = _make_keeper(shared)
    settings = shared.alert_settings
    stop = shared.status.add_listener(keeper.wake)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keeper.run())
            if settings.heartbeat_url:
                tasks.create_task(
                    send_heartbeats(
                        settings.heartbeat_url,
                        settings.heartbeat_interval,
                        lambda: keeper.is_leader and not keeper.is_blind,
                    )
                )
    finally:
        stop()


def _make_keeper(shared: ServerContext) -> AlertKeeper:
    store: Store = get_unscoped(shared.store)
    sender = AlertSender(shared.alert_settings, store, send_text)
    webhooks = shared.webhooks.static_endpoints.values() if shared.webhooks else ()
    reader = FactsReader(
        store,
        shared.rollups,
        shared.schedules,
        shared.status.find_staleness,
        webhooks,
    )
    keeper = AlertKeeper(
        shared.alert_settings,
        store,
        shared.hub,
        reader,
        shared.alerts.silences,
        sender,
        f"{shared.node}-{uuid4().hex[:8]}",
        lambda: shared.log_reader.resets,
    )
    sender.is_leader = lambda: keeper.is_leader
    sender.on_sent = keeper.wake
    return keeper
