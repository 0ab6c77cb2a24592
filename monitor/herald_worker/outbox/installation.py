"""`install`: gives an app the outbox."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from herald_worker.outbox.lookup import OUTBOX, get_outbox

if TYPE_CHECKING:
    from celery import Celery

    from herald_worker.outbox.settings import OutboxSettings

logger = logging.getLogger(__name__)

INSTALLED = "_herald_outbox_settings"
"""The attribute of an app that holds the settings it was installed with."""

SENT_BEFORE = "herald_task_send_sent_event"
"""The key of an app's configuration that holds its own `task_send_sent_event`."""


def install(
    app: Celery,
    url: str | None = None,
    *,
    stream: str | None = None,
    streams: int | None = None,
    max_events: int | None = None,
    maxlen: int | None = None,
    max_bytes: int | None = None,
    also_publish: bool | None = None,
    release: str | None = None,
) -> None:
    """Let all processes of `app` write its events to Herald's stream in a Redis.

    `url` is that Redis; by default it is the broker. What is not given is read from the
    environment (`HERALD_OUTBOX_URL` …). `release` is the version of the project that
    its workers report, by default that of `HERALD_RELEASE`. Call it where the app is
    made; later, and a second time, do no harm. Where there is no Redis to write to, a
    warning says what to set, and events go on as if it had not been called.
    """
    # Loaded only here: `progress` must cost nothing where nobody installs the outbox.
    from herald_worker.outbox.dispatcher import replace_events
    from herald_worker.outbox.settings import OutboxSettingsError, read_settings
    from herald_worker.outbox.signals import connect_signals
    from herald_worker.outbox.unreported_runs import UnreportedRuns

    given: dict[str, Any] = {"url": url, "stream": stream, "streams": streams}
    given |= {"maxlen": maxlen, "max_bytes": max_bytes}
    given |= {"max_events": max_events, "also_publish": also_publish}
    given |= {"release": release}
    try:
        settings = read_settings(given)
    except OutboxSettingsError as error:
        logger.warning("Herald's outbox is not used: %s", error)
        return
    _prepare(app, settings)
    replace_events(app)
    app.steps["consumer"].add(UnreportedRuns)
    connect_signals()


def is_installed(app: Celery) -> bool:
    """Return True if `install` was called for `app`."""
    return hasattr(app, INSTALLED)


def _prepare(app: Any, settings: OutboxSettings) -> None:
    """Make the outbox as soon as the app's configuration is read; not before."""
    before = getattr(app, INSTALLED, None)
    setattr(app, INSTALLED, settings)
    if before is None:
        # It is read again if the project gives another one.
        app.on_after_configure.connect(_configure, weak=False)
    if app.configured and (before != settings or get_outbox(app) is None):
        _configure(app, app.conf)


def _configure(sender: Any, source: Any, **_: Any) -> None:
    """Make the outbox of the app `sender`, whose configuration is `source`."""
    from herald_worker.outbox.connection import find_problem
    from herald_worker.outbox.outbox import Outbox

    settings = getattr(sender, INSTALLED)
    problem = find_problem(sender, settings)
    if problem:
        setattr(sender, OUTBOX, None)
        logger.warning(problem)
        return
    if SENT_BEFORE not in source:
        source[SENT_BEFORE] = bool(source.task_send_sent_event)
        source.task_send_sent_event = True
    setattr(sender, OUTBOX, Outbox(sender, settings, bool(source[SENT_BEFORE])))
