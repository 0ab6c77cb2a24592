"""A stranger's Celery project: a file in a folder, with Celery's own defaults."""

import os
import sys
from pathlib import Path
from typing import Any, cast

from celery import Celery

from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.wait import wait_until

SHOP = """
import os, time
from celery import Celery
from celery.exceptions import Reject

env = os.environ
app = Celery("shop", broker=env["SHOP_BROKER"], backend=env["SHOP_BACKEND"])
app.conf.broker_connection_retry_on_startup = True


@app.task
def pay(amount):
    return amount * 2


@app.task
def refuse(reason):
    raise ValueError(reason)


@app.task(bind=True, max_retries=3)
def ship(self, tries):
    if self.request.retries < tries:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task(ignore_result=True)
def note(text):
    return text


@app.task(acks_late=True)
def decline():
    raise Reject("not ours", requeue=False)


@app.task
def pack(seconds):
    time.sleep(seconds)
    return seconds
"""


class Stranger:
    """The project, its worker, and a client's view of it."""

    def __init__(self, place: Path, broker: str, backend: str, pool: str) -> None:
        place.mkdir(exist_ok=True)
        (place / "shop.py").write_text(SHOP)
        self.place = place
        self.env = {**os.environ, "SHOP_BROKER": broker, "SHOP_BACKEND": backend}
        self.app = Celery("shop", broker=broker, backend=backend, set_as_current=False)
        self._pool = pool
        self._log = place / "worker.log"

    def start_worker(self, concurrency: int = 4, *extra: str) -> None:
        """Start a worker as its README would say: no `-E`, nothing for Herald.

        `extra` are options of its own.
        """
        command = [sys.executable, "-m", "celery", "--workdir", str(self.place)]
        command += ["-A", "shop", "worker", "-P", self._pool, "-c", str(concurrency)]
        command += extra
        self._process = spawn(command, self._log, env=self.env)
        wait_until(self._answers, 30, f"the worker answers; see {self._log}")

    def _answers(self) -> bool:
        try:
            return bool(cast(Any, self.app).control.ping(timeout=0.3, limit=1))
        except Exception:  # the broker may be on its way up
            return False

    def stop_worker(self) -> None:
        """Stop the worker as a deployment does; it says goodbye."""
        terminate(self._process, 20.0)

    def stop(self) -> None:
        """Kill the worker and close all connections."""
        kill_group(self._process)
        cast(Any, self.app).close()
