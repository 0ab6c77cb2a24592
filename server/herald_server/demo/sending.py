"""`python -m herald_server.demo.sending`: the trickle alone, until it is stopped."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType

from celery import Celery

from herald_server.demo.app import make_app
from herald_server.demo.trickle import Trickle, plan

SEED = 22


def trickle_of(app: Celery) -> Trickle:
    """Return the trickle of today for the sample project `app`."""

    def submit(name: str, kwargs: Mapping[str, object]) -> str:
        task_id = str(uuid.uuid4())
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
