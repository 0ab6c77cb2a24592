"""The replacement of a worker that is gone, by the names of Kubernetes' pods.

The controller of a Deployment names a pod NAME-TEMPLATE-SUFFIX: a hash of the pod
template (`pod-template-hash`), and five random characters. Both use the alphabet of
`k8s.io/apimachinery/pkg/util/rand`, which has no vowels and no 0, 1 and 3. A
StatefulSet reuses the names of its pods. No other name indicates a replacement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers.worker import GONE_STATES, OFFLINE, ONLINE, WorkerView

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
POD_PATTERN = re.compile(
    rf"(?P<deployment>.+)-(?P<template>{_SAFE}{{7,10}})-{_SAFE}{{5}}"
)


class Pod(NamedTuple):
    """A pod of a Deployment: the hostname up to its name, and its template's hash."""

    deployment: str
    template: str


def parse_pod(hostname: str) -> Pod | None:
    """Return the pod that a worker's hostname names, if a Deployment named it."""
    found = POD_PATTERN.fullmatch(hostname)
    return Pod(found["deployment"], found["template"]) if found else None


def find_replaced(
    workers: Iterable[WorkerView], now: float, patience: float
) -> list[WorkerView]:
    """Return the workers that are gone, and whose replacement is online.

    Times are unix seconds. A worker counts as gone after `patience` seconds of silence
    before `now`.
    """
    pods = [(one, pod) for one in workers if (pod := parse_pod(one.hostname))]
    newest = _find_newest(pods)
    return [
        one
        for one, pod in pods
        if _is_silent(one, now, patience)
        and _is_replaced(one, pod, newest.get(pod.deployment, {}), patience)
    ]


def _find_newest(pods: Iterable[tuple[WorkerView, Pod]]) -> dict[str, dict[str, float]]:
    """Return by deployment when the newest online pod of each template was started.

    The template with the newest pod comes first.
    """
    newest: dict[str, dict[str, float]] = {}
    for one, pod in pods:
        if one.state == ONLINE and one.started_at is not None:
            of = newest.setdefault(pod.deployment, {})
            of[pod.template] = max(
                of.get(pod.template, 0.0), from_rfc3339(one.started_at)
            )
    return {
        deployment: dict(sorted(of.items(), key=lambda pair: -pair[1]))
        for deployment, of in newest.items()
    }


def find_silent(
    workers: Iterable[WorkerView], now: float, seconds: float
) -> list[WorkerView]:
    """Return the workers that are gone, after that many seconds of silence."""
    return [one for one in workers if _is_silent(one, now, seconds)]


def _is_silent(one: WorkerView, now: float, seconds: float) -> bool:
    return one.state in GONE_STATES and now - _get_last_sign(one) > seconds


def _is_replaced(
    old: WorkerView, pod: Pod, newest: Mapping[str, float], patience: float
) -> bool:
    """Return True if an online worker took the place of `old`.

    A pod of another template replaces every older one. One of the same template may be
    a twin, unless it started at about the last event of `old`, or later. `newest` is
    the result of `_find_newest` for its deployment.
    """
    since = _get_last_sign(old) - patience
    if newest.get(pod.template, 0.0) > since:
        return True
    if old.started_at is not None:
        since = from_rfc3339(old.started_at)
    others = (at for its, at in newest.items() if its != pod.template)
    return next(others, 0.0) > since


def sort_by_silence(workers: Iterable[WorkerView]) -> list[WorkerView]:
    """Return `workers` in the order of leaving:

    `worker-offline` first, then by silence.
    """
    return sorted(workers, key=lambda one: (one.state != OFFLINE, _get_last_sign(one)))


def _get_last_sign(one: WorkerView) -> float:
    return from_rfc3339(one.last_heartbeat_at) if one.last_heartbeat_at else 0.0
