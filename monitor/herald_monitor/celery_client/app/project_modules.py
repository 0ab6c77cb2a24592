"""A project's app made ready as `celery worker` makes it: fixups and task modules."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, cast

from celery import Celery, signals

logger = logging.getLogger(__name__)

ASYNC_UNSAFE_VARIABLE = "DJANGO_ALLOW_ASYNC_UNSAFE"

PROBLEMS_ATTRIBUTE = "_herald_problems"
"""The attribute of an app that lists failed imports."""

OnProblem: TypeAlias = Callable[[str, BaseException], None]


def import_tasks(app: Celery) -> None:
    """Import the task modules of `app`, and log those that fail.

    A worker does the same (celery/loaders/base.py: `import_default_modules`), but stops
    at the first failure. The fixup for Django calls `django.setup()` here, so that
    `django-db` and models in `tasks.py` work.
    """
    problems: dict[str, str] = {}

    def note(name: str, error: BaseException) -> None:
        module = _find_failed_module(error) or name
        problems.setdefault(module, _describe_problem(module, error))

    loader = cast(Any, app).loader
    app.set_current()
    app.set_default()
    with _mute_signals(), _isolate_packages(loader, note):
        _send_import_signal(app, note)
        for name in _list_default_modules(loader, note):
            _try_import(name, loader.import_task_module, note)
    _try_import("tasks", lambda _: app.finalize(), note)
    close_connections()
    for sentence in problems.values():
        logger.warning("%s", sentence)
    vars(app)[PROBLEMS_ATTRIBUTE] = tuple(problems.values())


def list_import_problems(app: Celery) -> tuple[str, ...]:
    """Return a sentence for each module of `app` that could not be imported."""
    return cast(tuple[str, ...], vars(app).get(PROBLEMS_ATTRIBUTE, ()))


@contextmanager
def allow_database() -> Generator[None]:
    """Allow database access while modules of Django are imported.

    Herald imports them on the thread of its event loop, where Django refuses it;
    nothing else runs meanwhile. The variable is documented by Django.
    """
    before = os.environ.get(ASYNC_UNSAFE_VARIABLE)
    os.environ[ASYNC_UNSAFE_VARIABLE] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ASYNC_UNSAFE_VARIABLE]
        else:
            os.environ[ASYNC_UNSAFE_VARIABLE] = before


def close_connections() -> None:
    """Close this thread's connections to Django's databases, if there are any."""
    if (django := sys.modules.get("django.db")) is not None:
        try:
            cast(Any, django).connections.close_all()
        except Exception as error:  # settings that are wrong, drivers of all kinds
            logger.debug("no connection of Django's is closed: %s", error)


def _send_import_signal(app: Celery, note: OnProblem) -> None:
    """Send the signal on which fixups set up and packages are searched for tasks."""
    try:
        answers = cast(Any, signals).import_modules.send(sender=app)
    except SystemExit as error:
        note("tasks", error)
        return
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            note(str(getattr(receiver, "__module__", "tasks")), answer)


def _list_default_modules(loader: Any, note: OnProblem) -> Iterable[str]:
    try:
        return cast(Iterable[str], loader.default_modules)
    except Exception as error:
        note("imports", error)
        return ()


def _try_import(name: str, work: Callable[[str], object], note: OnProblem) -> None:
    try:
        work(name)
    except (Exception, SystemExit) as error:
        note(name, error)


def _discover_tasks(discover: Any, package: str, related_name: str, _: str) -> None:
    discover([package], related_name)


@contextmanager
def _isolate_packages(loader: Any, note: OnProblem) -> Generator[None]:
    """Let one package without a usable `tasks` hold up no other."""
    discover = loader.autodiscover_tasks

    def discover_each(packages: Iterable[str], related_name: str = "tasks") -> None:
        for package in packages or ():
            name = f"{package}.{related_name}" if related_name else package
            _try_import(
                name, partial(_discover_tasks, discover, package, related_name), note
            )

    loader.autodiscover_tasks = discover_each
    try:
        yield
    finally:
        del loader.autodiscover_tasks


@contextmanager
def _mute_signals() -> Generator[None]:
    """Suppress tracebacks of receivers in the log: `note` has their message."""
    log = logging.getLogger("celery.utils.dispatch.signal")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _find_failed_module(error: BaseException) -> str:
    """Return the module whose top level raised `error`."""
    name, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            name = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return name


def _describe_problem(module: str, error: BaseException) -> str:
    why = str(error).strip().split("\n", 1)[0]
    problem = f"{type(error).__name__}: {why}" if why else type(error).__name__
    return (
        f"The project's module {module} cannot be imported ({problem}). Herald goes on"
        " without it: what its tasks take, and their options, are not known."
        " Fix it, or install what it needs where Herald runs."
    )
