"""The options of a project that Herald was given by URL, learned from its workers.

A URL carries neither key prefixes nor priority steps, separators or exchange names.
Workers of a Redis broker leave them in binding tables, and each worker tells its
settings when it is asked. Only an app that was made from URLs takes them over; what
a person gave stays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from celery import Celery

from herald_monitor.celery_app import given_settings, restrict
from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.errors import HeraldError
from herald_monitor.model.layout import Layout, judge, read_layouts
from herald_monitor.project_evidence import (
    PREFIXED,
    ask_settings,
    find_result_prefixes,
    find_tables,
)
from herald_monitor.redis_consumer import reads_directly

logger = logging.getLogger(__name__)

CHECK_EVERY = 4.0
"""Seconds for which an answer holds."""

ASK_EVERY = 60.0
"""Seconds after which a worker is asked once more, without a change of workers."""

SEARCH_EVERY = 30.0
"""Seconds between two searches through the broker's keys, while no worker is there."""

ASK_AGAIN = 10.0
"""The same, if nobody answered."""

MOST_ASKED = 3
TRANSPORT = "broker_transport_options"
RESULTS = "result_backend_transport_options"
SEP = "\x06\x16"
DEFAULTS: Mapping[str, object] = {"global_keyprefix": "", "sep": SEP}


class OptionsChanged(HeraldError):
    """A connection was made with options that are not the project's."""


class ProjectOptions:
    """The options of `app`, kept as those of the workers. Blocks; for any thread.

    `problem` says why the project's queues cannot be seen, `results_problem` why its
    results cannot; both are empty if they can. `taken` names the options that were
    taken over, and `generation` counts how often that was.
    """

    def __init__(self, app: Celery) -> None:
        self.problem = ""
        self.results_problem = ""
        self.generation = 0
        self.taken: set[str] = set()
        self._app = app
        self._lock = threading.Lock()
        self._checked = float("-inf")
        self._asked = float("-inf")
        self._searched = float("-inf")
        self._workers: tuple[str, ...] = ()
        self._found: Layout | None = None

    def check(self, *, ask_all: bool = False) -> str:
        """Look whether the options fit, at most every few seconds; return `problem`.

        `ask_all`: workers are asked also where nothing tells who there is. Raises the
        broker library's errors.
        """
        with self._lock:
            if time.monotonic() >= self._checked + CHECK_EVERY:
                self._look(ask_all)
                self._checked = time.monotonic()
            return self.problem

    def raise_if_newer_than(self, generation: int) -> None:
        """Raise `OptionsChanged` if options were taken over since `generation`."""
        if generation != self.generation:
            raise OptionsChanged("the project's options were not known before")

    def _look(self, ask_all: bool) -> None:
        now = time.monotonic()
        search = now >= self._searched + SEARCH_EVERY
        connection = broker_connection(self._app)
        try:
            on_redis = reads_directly(connection)
            tables = (
                find_tables(connection, self._app, search=search) if on_redis else None
            )
        finally:
            let_go(connection)
        if tables is not None:
            self._searched = now if search else self._searched
            self._judge(read_layouts(tables))
        elif ask_all and not on_redis:
            self._ask(())

    def _judge(self, layouts: list[Layout]) -> None:
        ours = _ours(self._app)
        if self._found is not None:
            # Another project, which is still there while ours is down, is not ours.
            layouts = [one for one in layouts if one.prefix == ours.prefix]
        learns = given_settings(self._app) is not None
        verdict = judge(layouts, ours, learns=learns)
        if verdict.found:
            self._found = verdict.found
            self._take(_as_settings(verdict.found))
            if verdict.found.workers:
                self._ask(verdict.found.workers)
        if verdict.problem and verdict.problem != self.problem:
            logger.warning("%s", verdict.problem)
        self.problem = verdict.problem

    def _ask(self, workers: tuple[str, ...]) -> None:
        """Take over what one of the workers tells of its settings, if it is time."""
        now = time.monotonic()
        if given_settings(self._app) is None or (
            workers == self._workers and now < self._asked + ASK_EVERY
        ):
            return
        told = ask_settings(self._app, workers[-MOST_ASKED:])
        late = 0.0 if told else ASK_EVERY - ASK_AGAIN
        self._workers, self._asked = workers, now - late
        prefixed = bool(told.pop(PREFIXED, False))
        self._take(told)
        if told:
            self.results_problem = self._find_results() if prefixed else ""

    def _find_results(self) -> str:
        """Take over the key prefix of results, which Celery masks; return what is
        wrong if it cannot be found."""
        if cast(Any, self._app.conf)[RESULTS].get("global_keyprefix"):
            return ""
        found = find_result_prefixes(self._app) - {""}
        if len(found) == 1:
            self._take({RESULTS: {"global_keyprefix": found.pop()}})
            return ""
        return (
            "the workers keep results under a key prefix that Herald does not know:"
            " Celery does not tell it. Give --backend-option global_keyprefix=PREFIX,"
            " or -A PROJECT"
        )

    def _take(self, told: Mapping[str, object]) -> None:
        given = given_settings(self._app)
        changed = change_settings(self._app, told, given) if given is not None else ()
        if changed:
            self.generation += 1
            self.taken |= changed
            names = ", ".join(sorted(changed))
            logger.info("Taken over from the project's workers: %s.", names)


_known: WeakKeyDictionary[Celery, ProjectOptions] = WeakKeyDictionary()
_making = threading.Lock()


def project_options(app: Celery) -> ProjectOptions:
    """Return what keeps the options of `app`; one for each app."""
    with _making:
        return _known.setdefault(app, ProjectOptions(app))


def _ours(app: Celery) -> Layout:
    conf = cast(Any, app.conf)
    theirs = cast("Mapping[str, object]", conf[TRANSPORT] or {})
    options = {**DEFAULTS, **theirs}
    return Layout(
        str(options["global_keyprefix"]),
        str(conf.control_exchange),
        str(options["sep"]),
    )


def _as_settings(layout: Layout) -> dict[str, object]:
    told: dict[str, object] = {
        TRANSPORT: {"global_keyprefix": layout.prefix, "sep": layout.sep}
    }
    if layout.control_exchange:
        told["control_exchange"] = layout.control_exchange
    return told


def change_settings(
    app: Celery, told: Mapping[str, object], given: frozenset[str]
) -> set[str]:
    """Set what `told` says otherwise than `app`; return the names.

    Leaves alone what was `given`. Connections in use are not changed; new ones are.
    """
    conf = cast(Any, app.conf)
    changed: set[str] = set()
    for name, value in told.items():
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
        _renew(app)
    return changed


def _renew(app: Celery) -> None:
    """Let the app make its connections, queues and result backend anew."""
    for made in ("amqp", "control", "events"):
        cast(Any, app).__dict__.pop(made, None)
    restrict(app)
