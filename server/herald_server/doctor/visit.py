"""One visit: broker, result backend, store and workers, side by side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar, cast

from celery import Celery
from kombu.utils.url import maybe_sanitize_url

from herald_monitor.askers import Askers
from herald_monitor.config import MonitorSettings
from herald_monitor.consumers import broker_name
from herald_monitor.errors import StoreError
from herald_monitor.project_modules import import_problems
from herald_monitor.project_options import ProjectOptions, project_options
from herald_monitor.refusals import refusal_of
from herald_monitor.stores import store_of
from herald_monitor.transports import shortcomings
from herald_server.doctor.broker import ask_backend, ask_broker, backend_name
from herald_server.doctor.facts import Facts, Place, WorkerFacts
from herald_server.doctor.rules import settings_of
from herald_server.doctor.workers import ask_workers

log = logging.getLogger(__name__)

T = TypeVar("T")

WITHIN = 12.0
"""Seconds for each server: name servers and firewalls hold libraries up."""

WORKERS_WITHIN = 25.0

OURS = ("celery-herald", "celery", "kombu", "redis")


async def visit(settings: MonitorSettings, app: Celery, *, store: bool) -> Facts:
    """Ask everybody; `store` says whether there is a store to ask. Raises nothing."""
    askers = Askers("herald-doctor", 3)
    try:
        broker, backend, kept = await asyncio.gather(
            _place(askers, lambda: ask_broker(app), broker_name(app), "--broker"),
            _place(askers, lambda: ask_backend(app), backend_name(app), "--backend"),
            _store(settings) if store else _nothing(),
        )
        assert broker is not None
        options = project_options(app)
        if broker.reachable:
            await _check(askers, options)
        workers, unasked = (
            await _workers(askers, app) if broker.reachable else (None, None)
        )
    finally:
        askers.close()
    place, monitors = kept
    return Facts(
        broker,
        backend,
        place,
        workers or (),
        asked=workers is not None,
        unasked=unasked,
        ours=settings_of(cast(Any, app.conf)) if settings.app else None,
        shortcomings=shortcomings(app),
        versions=versions(),
        monitors=monitors,
        problems=import_problems(app),
        unseen=tuple(filter(None, (options.problem, options.results_problem))),
        taken=tuple(sorted(options.taken)),
    )


async def _place(
    askers: Askers, question: Callable[[], Place | None], url: str, setting: str
) -> Place | None:
    try:
        return await _ask(askers, question, WITHIN)
    except Exception as error:  # any library's error
        return _refused(url, error, setting)


async def _check(askers: Askers, options: ProjectOptions) -> None:
    """See whether the options fit the project, as far as broker and workers tell."""
    try:
        await _ask(askers, lambda: options.check(ask_all=True), WITHIN)
    except Exception as error:  # whatever is wrong with the broker is told as such
        log.debug("the options could not be checked: %s", error)


def _refused(url: str, error: Exception, setting: str) -> Place:
    cause = refusal_of(error, setting, f"no answer within {WITHIN:.0f} s")
    return Place(url, problem=cause.why, kind=cause.kind, fix=cause.advice)


async def _workers(
    askers: Askers, app: Celery
) -> tuple[tuple[WorkerFacts, ...] | None, tuple[str, str] | None]:
    try:
        return await _ask(askers, lambda: ask_workers(app), WORKERS_WITHIN), None
    except Exception as error:  # the broker was reachable a moment ago
        cause = refusal_of(error, "--broker", f"no answer within {WORKERS_WITHIN:g} s")
        return None, (cause.why, cause.advice)


async def _ask(askers: Askers, question: Callable[[], T], within: float) -> T:
    [answer] = await askers.ask(lambda _: question(), [None], within)
    return answer


async def _store(settings: MonitorSettings) -> tuple[Place | None, int | None]:
    url = str(maybe_sanitize_url(settings.store_url))
    store = store_of(settings)
    try:
        await store.open()
    except StoreError as error:
        return _refused(url, error, "--store (HERALD_STORE_URL)"), None
    try:
        told = await store.memory()
        monitors = await store.monitors()
    except StoreError as error:
        return _refused(url, error, "--store (HERALD_STORE_URL)"), None
    finally:
        await store.close()
    evicts = [one.policy for one in told if one.policy not in ("", "noeviction")]
    software = told[0].server if told else ""
    hearing = sum(one.connected for one in monitors)
    return Place(url, software, evicts=evicts[0] if evicts else ""), hearing


async def _nothing() -> tuple[None, None]:
    return None, None


def versions() -> dict[str, str]:
    """Return the versions of what Herald runs on here."""
    found: dict[str, str] = {}
    for name in OURS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
