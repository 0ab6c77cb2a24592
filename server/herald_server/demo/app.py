"""The Celery app of the sample project: `celery -A herald_server.demo.app worker`."""

from __future__ import annotations

import os
from typing import Final

from celery import Celery

from herald_server.demo.periodic_tasks import PERIODIC_TASKS

RESULT_EXPIRES_SECONDS: Final = 6 * 3600


def make_app(
    broker_url: str | None = None, result_backend: str | None = None
) -> Celery:
    """Make the app from `HERALD_BROKER_URL` and `HERALD_RESULT_BACKEND`."""
    broker = broker_url or os.environ.get("HERALD_BROKER_URL")
    broker = broker or "redis://127.0.0.1:6379/0"
    backend = result_backend or os.environ.get("HERALD_RESULT_BACKEND")
    made = Celery(
        "herald-demo",
        include=["herald_server.demo.tasks"],
        # A program that only sends may have an app of its own; workers set theirs.
        set_as_current=False,
    )
    made.conf.update(
        broker_url=broker,
        # A Redis broker keeps results as well; RabbitMQ would use rpc://.
        result_backend=backend or _backend_beside(broker),
        accept_content=["json"],
        beat_schedule=PERIODIC_TASKS,
        task_serializer="json",
        result_serializer="json",
        broker_connection_retry_on_startup=True,
        enable_utc=True,
        result_expires=RESULT_EXPIRES_SECONDS,
        result_extended=True,
        task_send_sent_event=True,
        task_track_started=True,
        timezone="UTC",
        # One long analysis must not hold back short ones behind it.
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
    )
    return made


def _backend_beside(broker: str) -> str:
    return broker if broker.startswith(("redis", "valkey")) else "rpc://"


app = make_app()
