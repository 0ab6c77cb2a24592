"""The project of the worker bench: a task that does nothing and keeps no result.

A worker is started with `celery -A tests.bench.worker_project`.
"""

import os
from typing import Any, cast

from celery import Celery

BROKER = "HERALD_BENCH_BROKER"

app = Celery("bench", broker=os.environ.get(BROKER), set_as_current=False)
cast(Any, app).conf.update(
    worker_prefetch_multiplier=16,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    task_send_sent_event=True,
)


def do_nothing(number: int) -> None:
    """Do nothing."""


nothing: Any = cast(Any, app).task(do_nothing, name="nothing", ignore_result=True)
