"""What a worker says of itself now, in bounded time; what it leaves out is unknown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from herald_core.errors import HeraldError
from herald_core.model.events.event import MAX_SMALL, to_bounded_int, to_finite
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker import OFFLINE, WorkerView
from herald_monitor.celery_client.workers.active_queues import read_consumed
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.evidence import CONF, LIMIT_ITEMS, QUEUES, STATS

QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    STATS: {},
    QUEUES: {},
    "active": {"safe": True},
    "reserved": {},
    "scheduled": {},
    "revoked": {},
    "registered": {"taskinfoitems": list(LIMIT_ITEMS)},
    CONF: {"with_defaults": True},
}
"""The questions, in order: a worker that leaves one open is not asked the next."""

ANSWER_TIMEOUT_S = 1.0
"""Seconds in which a worker answers each question."""

MAX_TASKS = 200
"""Tasks that are listed of each kind; all are counted."""

MAX_NAMES = 1_000
"""Registered tasks that are listed."""

SETTINGS = (
    *("worker_prefetch_multiplier", "worker_max_tasks_per_child"),
    *("worker_max_memory_per_child", "worker_pool_restarts"),
    *("worker_disable_rate_limits", "task_acks_late", "task_reject_on_worker_lost"),
    *("task_time_limit", "task_soft_time_limit", "task_track_started"),
)
"""Settings of Celery that are shown: none of them holds a secret."""

RUSAGE = ("utime", "stime", "maxrss", "minflt", "majflt", "nvcsw", "nivcsw")

Answers = Mapping[str, Sequence[object]]


async def ask_details(asker: WorkerAsker, worker: WorkerView) -> dict[str, Any]:
    """Return what `worker` says of itself, and which questions it left open.

    Keys of what is not known are absent.
    """
    host, answers, problem = worker.hostname, dict[str, list[object]](), ""
    if worker.state == OFFLINE:
        problem = "It is offline, so it was not asked."
    else:
        expected = {host: worker.processes or 1}
        try:
            found = await asker.ask(QUESTIONS, [host], ANSWER_TIMEOUT_S, expected)
            answers = {one: by[host] for one, by in found.items() if by.get(host)}
        except HeraldError as error:
            problem = f"It cannot be asked: {error}"
    open_ = [one for one in QUESTIONS if one not in answers]
    if open_ and not problem:
        problem = (
            f"It left open: {', '.join(open_)}. It is busy, or remote control is off."
        )
    asked = {"at": to_rfc3339(time.time()), "unanswered": open_, "message": problem}
    return {"asked": asked, **read_details(answers)}


def read_details(answers: Answers) -> dict[str, Any]:
    """Return what the answers of one worker say. Pure."""
    found: dict[str, Any] = {}
    if STATS in answers:
        found |= _read_stats(_to_mapping(answers[STATS][0]))
    if QUEUES in answers:
        found["queues"] = [
            {"name": queue.name, "routing_keys": list(queue.keys)}
            for queue in read_consumed(answers[QUEUES][0])
        ]
    for kind in ("active", "reserved", "scheduled"):
        if kind in answers:
            found[f"{kind}_tasks"] = _read_tasks(answers[kind])
    if "revoked" in answers:
        ids = [one for one in _iter_items(answers["revoked"]) if isinstance(one, str)]
        found["revoked_tasks"] = {"total": len(ids), "ids": ids[:MAX_TASKS]}
    if "registered" in answers:
        found["registered"] = _read_registered(answers["registered"])
    if CONF in answers:
        conf = _to_mapping(answers[CONF][0])
        found["settings"] = {one: conf[one] for one in SETTINGS if one in conf}
    return found


def _read_stats(stats: Mapping[str, object]) -> dict[str, Any]:
    pool = dict(_to_mapping(stats.get("pool")))
    usage = _to_mapping(stats.get("rusage"))
    found: dict[str, Any] = {
        "pid": to_bounded_int(stats.get("pid"), MAX_SMALL),
        "uptime_seconds": to_finite(stats.get("uptime")),
        "prefetch": to_bounded_int(stats.get("prefetch_count"), MAX_SMALL),
        "pool": {
            key.replace("-", "_"): value
            for key, value in pool.items()
            if key in ("implementation", "max-concurrency", "processes", "threads")
            or key in ("max-tasks-per-child", "timeouts")
        },
        "autoscale": dict(_to_mapping(stats.get("autoscaler"))),
        "rusage": {key: usage[key] for key in RUSAGE if to_finite(usage.get(key))},
        "totals": dict(list(_to_mapping(stats.get("total")).items())[:MAX_NAMES]),
    }
    return {key: value for key, value in found.items() if value not in (None, {})}


def _read_tasks(answers: Sequence[object]) -> dict[str, Any]:
    """Return the tasks in an answer: their ids, names and times, no arguments."""
    items = [_to_mapping(one) for one in _iter_items(answers)]
    return {
        "total": len(items),
        "tasks": [task for one in items[:MAX_TASKS] if (task := _read_task(one))],
    }


def _read_task(item: Mapping[str, object]) -> dict[str, Any] | None:
    request = _to_mapping(item.get("request")) or item
    if not isinstance(request.get("id"), str):
        return None
    began = to_finite(request.get("time_start"))
    found: dict[str, Any] = {
        "id": request["id"],
        "name": request.get("name") or request.get("type"),
        "eta": item.get("eta"),
        "started_at": to_rfc3339(began) if began else None,
        "pid": to_bounded_int(request.get("worker_pid"), MAX_SMALL),
    }
    return {key: value for key, value in found.items() if value is not None}


def _read_registered(answers: Sequence[object]) -> list[dict[str, str]]:
    """Return the registered tasks, with their limits."""
    found: list[dict[str, str]] = []
    for text in _iter_items(answers):
        if isinstance(text, str) and len(found) < MAX_NAMES:
            name, _, more = text.partition(" [")
            pairs = (one.partition("=") for one in more.rstrip("]").split(" ") if one)
            found.append({"name": name, **{key: value for key, _, value in pairs}})
    return found


def _iter_items(answers: Sequence[object]) -> list[object]:
    lists = [cast("list[object]", one) for one in answers if isinstance(one, list)]
    return [item for some in lists for item in some]


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
