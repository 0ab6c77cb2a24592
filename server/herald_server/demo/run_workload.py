"""Send the demo's workload (`python -m`, named by docker-compose.yml)."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import cycle
from types import FrameType

from celery import Celery

import herald_worker
from herald_server.demo.app import make_app
from herald_server.demo.workload import Trickle, plan

SEED = 22

USERS = (42, 7, 42, 108, 23)
"""Whose tasks they are, in turns."""


def trickle_of(app: Celery) -> Trickle:
    """Return the trickle of today for the sample project `app`.

    Each task is some user's, and says so by a tag.
    """
    herald_worker.install(app)
    users = cycle(USERS)

    def submit(name: str, kwargs: Mapping[str, object]) -> str:
        task_id = str(uuid.uuid4())
        with herald_worker.tags(f"user:{next(users)}"):
            app.send_task(name, kwargs=dict(kwargs), task_id=task_id, retry=False)
        return task_id

    def revoke(task_id: str) -> None:
        app.control.revoke(task_id, terminate=True)

    return Trickle(plan(SEED, datetime.now(UTC).date()), submit, revoke)


def main() -> None:
    """Submit until SIGTERM or SIGINT."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    trickle_of(make_app()).run(stop)


if __name__ == "__main__":
    main()
