"""The Celery project whose workers the tests run: one task for each way to end.

`make_app` builds it for the test; a worker's process builds the same one from
the environment that `environment(app)` describes.
"""

import ctypes
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from celery.exceptions import Ignore, Reject
from kombu import pidbox

import herald_worker
from herald_server.catalog.shipped import SHIPPED
from tests.support.celery import canvas_tasks, journal_tasks

BROKER = "HERALD_PROJECT_BROKER"
BACKEND = "HERALD_PROJECT_BACKEND"
NAMES = "HERALD_PROJECT_NAMES"
SHARED = "HERALD_PROJECT_SHARED"
ANSWERS_AFTER = "HERALD_PROJECT_ANSWERS_AFTER"
"""Seconds after which a worker answers questions, as one on a far host does."""


def make_app(
    broker: str, backend: str | None = None, names: str | None = None, **conf: object
) -> Celery:
    """Make the project's app.

    `names` is appended to all names on the broker, so that tests that share
    one do not hear each other; the default is a new one. `herald_shared` holds
    settings that workers have as well.
    """
    names = names or uuid4().hex[:8]
    made = Celery("project", broker=broker, backend=backend, set_as_current=False)
    cast(Any, made).conf.update(
        {
            "control_exchange": f"celery-{names}",
            "event_exchange": f"celeryev-{names}",
            "event_queue_prefix": f"celeryev-{names}",
            "task_default_queue": f"celery-{names}",
            "task_send_sent_event": True,
            "result_extended": True,
            "result_expires": 600,
            "broker_connection_retry_on_startup": True,
            "worker_prefetch_multiplier": 1,
            "worker_hijack_root_logger": False,
            "herald_names": names,
            **cast(dict[str, Any], conf.get("herald_shared") or {}),
            **conf,
        }
    )
    for name, (function, options) in ALL_TASKS.items():
        cast(Any, made).task(function, name=name, **options)
    for kind in SHIPPED:
        # Where these are registered, the catalog is the one that Herald ships.
        cast(Any, made).task(sample, name=kind.celery_name)
    return made


def sample(**_: object) -> None:
    """Stand for a task of the sample project."""


def environment(app: Celery) -> dict[str, str]:
    """Describe `app` to a worker's process."""
    conf = cast(Any, app).conf
    return {
        BROKER: str(conf.broker_url),
        BACKEND: str(conf.result_backend or ""),
        NAMES: str(conf.herald_names),
        SHARED: json.dumps(conf.get("herald_shared") or {}),
    }


def add(x: int, y: int) -> int:
    """Succeed."""
    return x + y


def fail(message: str = "no") -> None:
    """Fail."""
    raise ValueError(message)


def retry_twice(self: Any, countdown: float = 0) -> int:
    """Succeed in the third attempt."""
    if self.request.retries < 2:
        raise self.retry(countdown=countdown, exc=ValueError("again"))
    return int(self.request.retries)


def retry_surely(self: Any) -> int:
    """Succeed in the third attempt; begin none before Celery stored RETRY.

    It stores that after it has sent the next attempt, and may so overwrite SUCCESS.
    """
    run = int(self.request.retries)
    given_up = time.monotonic() + 10
    while run and not _stored_retry(self, run - 1) and time.monotonic() < given_up:
        time.sleep(0.01)
    if run < 2:
        raise self.retry(countdown=0, exc=ValueError(f"again {run}"))
    return run


def _stored_retry(task: Any, run: int) -> bool:
    meta = task.backend.get_task_meta(task.request.id)
    return bool(meta["status"] == "RETRY" and str(meta["result"]) == f"again {run}")


def reject(self: Any, requeue: bool = False) -> str:
    """Be rejected; with `requeue` once, and then succeed."""
    if requeue and self.request.delivery_info.get("redelivered"):
        return "done"
    raise Reject("no", requeue=requeue)


def ignore() -> None:
    """End without any ending."""
    raise Ignore


def sleepy(seconds: float) -> float:
    """Take `seconds`; registered again as `late`, with `acks_late`."""
    time.sleep(seconds)
    return seconds


def hold(path: str, most: float = 120.0) -> None:
    """Run until there is a file at `path`, for at most so many seconds."""
    given_up = time.monotonic() + most
    while not Path(path).exists() and time.monotonic() < given_up:
        time.sleep(0.01)


def block(seconds: int) -> int:
    """Take `seconds` in a C call that lets nothing else of its process run."""
    ctypes.PyDLL(None).sleep(seconds)
    return seconds


def note(self: Any, path: str) -> None:
    """Write its id into a log, and keep no result."""
    with Path(path).open("a") as log:
        log.write(f"{self.request.id}\n")


def progress(self: Any, steps: int = 3) -> int:
    """Tell of each step by an event and in the result backend."""
    for step in range(1, steps + 1):
        self.send_event("task-progress", current=step, total=steps)
        self.update_state(state="PROGRESS", meta={"current": step, "total": steps})
    return steps


def tells(steps: int = 1_000) -> int:
    """Tell of each step as authors of tasks are told to do it."""
    for step in range(1, steps + 1):
        herald_worker.progress(step, steps, f"step {step}")
    return steps


TASKS: dict[str, tuple[Callable[..., object], dict[str, object]]] = {
    "add": (add, {}),
    "fail": (fail, {}),
    "retry_twice": (retry_twice, {"bind": True, "max_retries": 2}),
    "retry_surely": (retry_surely, {"bind": True, "max_retries": 2}),
    "reject": (reject, {"bind": True, "acks_late": True}),
    "ignore": (ignore, {}),
    "sleepy": (sleepy, {}),
    "hold": (hold, {}),
    "late": (sleepy, {"acks_late": True}),
    "late_hold": (hold, {"acks_late": True}),
    "ignore_result": (add, {"ignore_result": True}),
    "block": (block, {}),
    "note": (note, {"bind": True, "ignore_result": True}),
    "progress": (progress, {"bind": True}),
    "tells": (tells, {}),
    "tells_nobody_else": (tells, {"ignore_result": True}),
    "silent": (add, {"send_events": False}),
    "silent_hold": (hold, {"send_events": False}),
}
ALL_TASKS = {**TASKS, **canvas_tasks.TASKS, **journal_tasks.TASKS}


def _answer_late(seconds: float) -> None:
    reply = pidbox.Node.reply

    def late(self: Any, *told: Any, **more: Any) -> object:
        time.sleep(seconds)
        return cast(Any, reply)(self, *told, **more)

    cast(Any, pidbox.Node).reply = late


if ANSWERS_AFTER in os.environ:
    _answer_late(float(os.environ[ANSWERS_AFTER]))

if BROKER in os.environ:
    app = make_app(
        os.environ[BROKER],
        os.environ[BACKEND] or None,
        os.environ[NAMES],
        herald_shared=json.loads(os.environ.get(SHARED, "{}")),
    )
