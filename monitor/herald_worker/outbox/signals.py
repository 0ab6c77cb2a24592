"""Connects the outbox to Celery's signals."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import signals

from herald_worker.outbox.extras import note_received, note_sent
from herald_worker.outbox.outbox import drain_all
from herald_worker.outbox.unreported_runs import (
    name_attempt,
    note_end,
    note_process,
    note_start,
)
from herald_worker.tags import connect_tags

logger = logging.getLogger(__name__)


@cache
def connect_signals() -> None:
    """Connect everything, once a process (and its children by `fork`)."""
    connect_tags()
    signals.before_task_publish.connect(_note_sent, weak=False)
    signals.task_received.connect(_note_received, weak=False)
    signals.worker_shutdown.connect(_drain, weak=False)
    signals.worker_process_shutdown.connect(_drain, weak=False)
    signals.worker_process_init.connect(_note_process, weak=False)


def _note_sent(
    headers: Any = None, body: Any = None, properties: Any = None, **_: Any
) -> None:
    try:
        note_sent(headers, body, properties)
    except Exception as error:
        # A task is sent whatever we cannot read of it.
        logger.debug("What is sent is not read: %s", error)


def _note_received(request: Any = None, **_: Any) -> None:
    try:
        name_attempt(request)
        note_received(request)
    except Exception as error:
        logger.debug("What is received is not read: %s", error)


def _note_process(**_: Any) -> None:
    try:
        note_process()
        signals.task_prerun.connect(_note_start, weak=False)
        signals.task_postrun.connect(_note_end, weak=False)
    except Exception as error:
        logger.debug("The runs of this process are not noted: %s", error)


def _note_start(task_id: Any = None, task: Any = None, **_: Any) -> None:
    try:
        note_start(task_id, task)
    except Exception as error:
        logger.debug("A run is not noted: %s", error)


def _note_end(
    task_id: Any = None,
    task: Any = None,
    state: Any = None,
    retval: Any = None,
    **_: Any,
) -> None:
    try:
        note_end(task_id, task, state, retval)
    except Exception as error:
        logger.debug("The end of a run is not noted: %s", error)


def _drain(**_: Any) -> None:
    drain_all()
