"""Check broker, result backend, store and workers concurrently."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple, TypeVar, cast

from celery import Celery
from kombu.utils.url import maybe_sanitize_url

from herald_core.errors import StoreError
from herald_core.model.workers.worker import ONLINE
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_core.system.error_sentences import find_cause
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.app.project_modules import list_import_problems
from herald_monitor.celery_client.app.project_options import (
    ProjectOptions,
    get_project_options,
)
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.ingest.consumers.broker_support import describe_limitations
from herald_monitor.ingest.outbox.options import (
    OutboxOptions,
    has_outbox,
    name_outbox,
)
from herald_monitor.runtime.daemon import make_outbox_options
from herald_server.cli.doctor.broker import ask_backend, ask_broker, mask_backend_url
from herald_server.cli.doctor.outbox import ask_outbox
from herald_server.cli.doctor.report import (
    Endpoint,
    Heartbeat,
    InstallationFacts,
    OutboxFacts,
    PausedQueue,
    WorkerFacts,
)
from herald_server.cli.doctor.rules import read_app_settings
from herald_server.cli.doctor.workers import ask_workers, list_unasked_workers
from herald_server.control.workers.pause_book import PauseBook

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_S = 12.0
"""Seconds for each server: name servers and firewalls delay connections."""

WORKERS_TIMEOUT_S = 25.0

STORE_SETTING = "--store (HERALD_STORE_URL)"

OWN_DISTRIBUTIONS = ("celery-herald", "celery", "kombu", "redis")


async def collect(
    settings: MonitorSettings, app: Celery, *, store: bool
) -> InstallationFacts:
    """Run all checks; `store` is True if there is a store to check. Raises nothing."""
    askers = TimedThreadPool("herald-doctor", 4)
    options = make_outbox_options(settings)
    uses_outbox = has_outbox(app, options)
    try:
        broker, backend, outbox, kept = await asyncio.gather(
            _ask_endpoint(
                askers, lambda: ask_broker(app), get_broker_name(app), "--broker"
            ),
            _ask_endpoint(
                askers, lambda: ask_backend(app), mask_backend_url(app), "--backend"
            ),
            _ask_outbox(askers, app, options) if uses_outbox else _skip(),
            _ask_store(settings) if store else _skip_store(),
        )
        assert broker is not None
        project = get_project_options(app)
        if broker.is_reachable:
            await _check_options(askers, project)
        asked = _NOT_ASKED
        beats = {**kept.outbox_workers, **(outbox.workers if outbox else {})}
        if broker.is_reachable:
            asked = await _ask_workers(askers, app, beats)
    finally:
        askers.close()
    return InstallationFacts(
        broker,
        backend,
        kept.place,
        asked.workers or (),
        asked=asked.workers is not None,
        unasked=asked.problem,
        ours=read_app_settings(cast(Any, app.conf)) if settings.app else None,
        shortcomings=describe_limitations(app, outbox=uses_outbox),
        versions=read_versions(),
        monitors=kept.monitors,
        problems=list_import_problems(app),
        unseen=tuple(filter(None, (project.problem, project.results_problem))),
        taken=tuple(sorted(project.applied)),
        outbox=outbox,
        producers=asked.producers,
        paused=kept.paused,
    )


async def _ask_endpoint(
    askers: TimedThreadPool,
    question: Callable[[], Endpoint | None],
    url: str,
    setting: str,
) -> Endpoint | None:
    try:
        return await _ask_in_thread(askers, question, TIMEOUT_S)
    except Exception as error:  # any library's error
        return _make_refused(url, error, setting)


async def _check_options(askers: TimedThreadPool, options: ProjectOptions) -> None:
    """Check that the options fit the project, as far as broker and workers show."""
    try:
        await _ask_in_thread(askers, lambda: options.check(ask_all=True), TIMEOUT_S)
    except Exception as error:  # whatever is wrong with the broker is told as such
        log.debug("the options could not be checked: %s", error)


def _make_refused(url: str, error: Exception, setting: str) -> Endpoint:
    cause = find_cause(error, setting, f"no answer within {TIMEOUT_S:.0f} s")
    return Endpoint(url, problem=cause.reason, kind=cause.kind, fix=cause.advice)


async def _ask_outbox(
    askers: TimedThreadPool, app: Celery, options: OutboxOptions
) -> OutboxFacts:
    try:
        return await _ask_in_thread(askers, lambda: ask_outbox(app, options), TIMEOUT_S)
    except Exception as error:  # any library's error
        place = name_outbox(options, get_broker_name(app))
        setting = "HERALD_OUTBOX_URL" if options.url else "--broker"
        return OutboxFacts(_make_refused(place, error, setting))


async def _skip() -> None:
    return None


class _Answers(NamedTuple):
    """What the workers answered; None if they could not be asked, and why."""

    workers: tuple[WorkerFacts, ...] | None = None
    producers: tuple[str, ...] = ()
    problem: tuple[str, str] | None = None


_NOT_ASKED = _Answers()


async def _ask_workers(
    askers: TimedThreadPool, app: Celery, beats: Mapping[str, Heartbeat]
) -> _Answers:
    if not has_fanout(app):
        return _Answers(list_unasked_workers(beats))
    try:
        return _Answers(
            *await _ask_in_thread(
                askers, lambda: ask_workers(app, beats), WORKERS_TIMEOUT_S
            )
        )
    except Exception as error:  # the broker was reachable a moment ago
        cause = find_cause(
            error, "--broker", f"no answer within {WORKERS_TIMEOUT_S:g} s"
        )
        return _Answers(problem=(cause.reason, cause.advice))


async def _ask_in_thread(
    askers: TimedThreadPool, question: Callable[[], T], within: float
) -> T:
    [answer] = await askers.map(lambda _: question(), [None], within)
    return answer


class _StoreAnswers(NamedTuple):
    """The store, the monitors that are connected there (None: it was not asked), the
    living workers that write to the outbox by their records, and paused queues."""

    place: Endpoint | None = None
    monitors: int | None = None
    outbox_workers: Mapping[str, Heartbeat] = {}
    paused: tuple[PausedQueue, ...] = ()


async def _ask_store(settings: MonitorSettings) -> _StoreAnswers:
    url = str(maybe_sanitize_url(settings.store_url))
    store = make_store(settings)
    try:
        await store.open()
    except StoreError as error:
        return _StoreAnswers(_make_refused(url, error, STORE_SETTING))
    try:
        told = await store.read_server_memory()
        monitors = await store.list_monitors()
        workers = await store.list_workers(now=time.time())
        pauses = await PauseBook(store).list_pauses()
    except StoreError as error:
        return _StoreAnswers(_make_refused(url, error, STORE_SETTING))
    finally:
        await store.close()
    evicts = [one.policy for one in told if one.policy not in ("", "noeviction")]
    software = told[0].server if told else ""
    return _StoreAnswers(
        Endpoint(url, software, evicts=evicts[0] if evicts else ""),
        sum(one.connected for one in monitors),
        {
            one.hostname: Heartbeat(own=True)
            for one in workers
            if one.outbox and one.state == ONLINE
        },
        tuple(
            PausedQueue(one.queue, one.who, one.since)
            for one in pauses
            if not one.is_resuming
        ),
    )


async def _skip_store() -> _StoreAnswers:
    return _StoreAnswers()


def read_versions() -> dict[str, str]:
    """Return the installed versions of Herald's dependencies."""
    found: dict[str, str] = {}
    for name in OWN_DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
