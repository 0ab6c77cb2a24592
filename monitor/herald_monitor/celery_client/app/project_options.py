"""Detection of a project's options from its workers, for an app made from URLs.

A URL carries neither key prefixes nor priority steps, separators or exchange names.
Workers of a Redis broker leave them in binding tables, and each worker returns its
settings on request. Only an app that was made from URLs applies them; explicit settings
stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from celery import Celery

from herald_core.errors import HeraldError
from herald_core.model.workers.queue_layout import (
    QueueLayout,
    choose_layout,
    read_layouts,
)
from herald_monitor.celery_client.app.celery_app import get_given_settings, restrict
from herald_monitor.celery_client.app.project_evidence import (
    PREFIXED_MESSAGE,
    find_result_prefixes,
    find_tables,
    request_settings,
)
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.broker.transport import has_fanout

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S = 4.0
"""Seconds for which an answer holds."""

REQUEST_INTERVAL_S = 60.0
"""Seconds between queries of a worker, without a change of workers."""

SEARCH_INTERVAL_S = 30.0
"""Seconds between two searches through the broker's keys, while no worker is there."""

REQUEST_RETRY_S = 10.0
"""The same, if no worker answered."""

MAX_QUERIED_WORKERS = 3
TRANSPORT_SETTING = "broker_transport_options"
RESULTS_SETTING = "result_backend_transport_options"
DEFAULT_SEPARATOR = "\x06\x16"
DEFAULTS: Mapping[str, object] = {"global_keyprefix": "", "sep": DEFAULT_SEPARATOR}


class OptionsChanged(HeraldError):
    """A connection was made with options that are not the project's."""


class ProjectOptions:
    """The options of `app`, synchronized with the workers. Blocks; for any thread.

    `problem` is the reason why the project's queues are not visible, `results_problem`
    the same of its results. Both are empty without a problem. `applied` names the
    applied options, and `generation` counts the changes.
    """

    def __init__(self, app: Celery) -> None:
        self.problem = ""
        self.results_problem = ""
        self.generation = 0
        self.applied: set[str] = set()
        self._app = app
        self._lock = threading.Lock()
        self._checked = float("-inf")
        self._requested_at = float("-inf")
        self._searched = float("-inf")
        self._workers: tuple[str, ...] = ()
        self._found: QueueLayout | None = None

    def check(self, *, ask_all: bool = False) -> str:
        """Check the options, at most every few seconds; return `problem`.

        `ask_all`: query all workers even if no names are known. Raises the broker
        library's errors.
        """
        if not has_fanout(self._app):
            # No worker can be asked there, and nothing is named as Redis names it.
            return ""
        with self._lock:
            if time.monotonic() >= self._checked + CHECK_INTERVAL_S:
                self._update(ask_all)
                self._checked = time.monotonic()
            return self.problem

    def raise_if_newer_than(self, generation: int) -> None:
        """Raise `OptionsChanged` if options were taken over since `generation`."""
        if generation != self.generation:
            raise OptionsChanged("the project's options were not known before")

    def _update(self, ask_all: bool) -> None:
        now = time.monotonic()
        search = now >= self._searched + SEARCH_INTERVAL_S
        connection = connect_broker(self._app)
        try:
            on_redis = can_read_directly(connection)
            tables = (
                find_tables(connection, self._app, search=search) if on_redis else None
            )
        finally:
            drop_connection(connection)
        if tables is not None:
            self._searched = now if search else self._searched
            self._apply_layout(read_layouts(tables))
        elif ask_all and not on_redis:
            self._request_settings(())

    def _apply_layout(self, layouts: list[QueueLayout]) -> None:
        ours = _make_own_layout(self._app)
        if self._found is not None:
            # Another project, which is still there while ours is down, is not ours.
            layouts = [one for one in layouts if one.prefix == ours.prefix]
        learns = get_given_settings(self._app) is not None
        verdict = choose_layout(layouts, ours, learns=learns)
        if verdict.found:
            self._found = verdict.found
            self._apply_settings(_to_settings(verdict.found))
            if verdict.found.workers:
                self._request_settings(verdict.found.workers)
        if verdict.problem and verdict.problem != self.problem:
            logger.warning("%s", verdict.problem)
        self.problem = verdict.problem

    def _request_settings(self, workers: tuple[str, ...]) -> None:
        """Apply the settings that a worker returns, if a query is due."""
        now = time.monotonic()
        if get_given_settings(self._app) is None or (
            workers == self._workers and now < self._requested_at + REQUEST_INTERVAL_S
        ):
            return
        settings = request_settings(self._app, workers[-MAX_QUERIED_WORKERS:])
        late = 0.0 if settings else REQUEST_INTERVAL_S - REQUEST_RETRY_S
        self._workers, self._requested_at = workers, now - late
        prefixed = bool(settings.pop(PREFIXED_MESSAGE, False))
        self._apply_settings(settings)
        if settings:
            self.results_problem = self._find_results() if prefixed else ""

    def _find_results(self) -> str:
        """Apply the key prefix of results, which Celery masks; return the problem if it
        is not found.
        """
        if cast(Any, self._app.conf)[RESULTS_SETTING].get("global_keyprefix"):
            return ""
        found = find_result_prefixes(self._app) - {""}
        if len(found) == 1:
            self._apply_settings({RESULTS_SETTING: {"global_keyprefix": found.pop()}})
            return ""
        return (
            "the workers keep results under a key prefix that Herald does not know:"
            " Celery does not tell it. Give --backend-option global_keyprefix=PREFIX,"
            " or -A PROJECT"
        )

    def _apply_settings(self, settings: Mapping[str, object]) -> None:
        given = get_given_settings(self._app)
        changed = (
            change_settings(self._app, settings, given) if given is not None else ()
        )
        if changed:
            self.generation += 1
            self.applied |= changed
            names = ", ".join(sorted(changed))
            logger.info("Taken over from the project's workers: %s.", names)


_options_by_app: WeakKeyDictionary[Celery, ProjectOptions] = WeakKeyDictionary()
_options_lock = threading.Lock()


def get_project_options(app: Celery) -> ProjectOptions:
    """Return the synchronized options of `app`; one object for each app."""
    with _options_lock:
        return _options_by_app.setdefault(app, ProjectOptions(app))


def _make_own_layout(app: Celery) -> QueueLayout:
    conf = cast(Any, app.conf)
    theirs = cast("Mapping[str, object]", conf[TRANSPORT_SETTING] or {})
    options = {**DEFAULTS, **theirs}
    return QueueLayout(
        str(options["global_keyprefix"]),
        str(conf.control_exchange),
        str(options["sep"]),
    )


def _to_settings(layout: QueueLayout) -> dict[str, object]:
    settings: dict[str, object] = {
        TRANSPORT_SETTING: {"global_keyprefix": layout.prefix, "sep": layout.sep}
    }
    if layout.control_exchange:
        settings["control_exchange"] = layout.control_exchange
    return settings


def change_settings(
    app: Celery, settings: Mapping[str, object], given: frozenset[str]
) -> set[str]:
    """Change the settings of `app` that differ in `settings`; return their names.

    Explicit settings (`given`) stay. Only new connections use the changes.
    """
    conf = cast(Any, app.conf)
    changed: set[str] = set()
    for name, value in settings.items():
        if isinstance(value, Mapping):
            options = dict(conf[name] or {})
            news = {
                key: one
                for key, one in cast("Mapping[str, object]", value).items()
                if key not in given and options.get(key, DEFAULTS.get(key)) != one
            }
            if news:
                conf[name] = {**options, **news}
                changed |= news.keys()
        elif name not in given and conf[name] != value:
            conf[name] = value
            changed.add(name)
    if changed:
        _reset_connections(app)
    return changed


def _reset_connections(app: Celery) -> None:
    """Let the app make its connections, queues and result backend again."""
    for made in ("amqp", "control", "events"):
        cast(Any, app).__dict__.pop(made, None)
    restrict(app)
