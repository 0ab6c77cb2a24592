"""Which worker took the place of one that is gone, by the names of Kubernetes' pods.

The controller of a Deployment names a pod NAME-TEMPLATE-SUFFIX: a hash of the pod
template (`pod-template-hash`), and five random characters. Both use the alphabet of
`k8s.io/apimachinery/pkg/util/rand`, which has no vowels and no 0, 1 and 3. A
StatefulSet gives its pods their names back. No other name tells of a replacement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from herald_monitor.model.shape import unix
from herald_monitor.model.workers import GONE, OFFLINE, ONLINE, WorkerImage

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
POD = re.compile(rf"(?P<deployment>.+)-(?P<template>{_SAFE}{{7,10}})-{_SAFE}{{5}}")


class Pod(NamedTuple):
    """A pod of a Deployment: the hostname up to its name, and its template's hash."""

    deployment: str
    template: str


def pod_of(hostname: str) -> Pod | None:
    """Return the pod that a worker's hostname names, if a Deployment named it."""
    found = POD.fullmatch(hostname)
    return Pod(found["deployment"], found["template"]) if found else None


def replaced(
    workers: Iterable[WorkerImage], now: float, patience: float
) -> list[WorkerImage]:
    """Return the workers that are gone, and whose replacement is online.

    Times are unix seconds. A worker counts that was last heard more than `patience`
    seconds before `now`.
    """
    pods = [(one, pod) for one in workers if (pod := pod_of(one.hostname))]
    newest = _newest(pods)
    return [
        one
        for one, pod in pods
        if _is_unheard(one, now, patience)
        and _is_replaced(one, pod, newest.get(pod.deployment, {}), patience)
    ]


def _newest(pods: Iterable[tuple[WorkerImage, Pod]]) -> dict[str, dict[str, float]]:
    """Return by deployment when the newest online pod of each template was started.

    The template with the newest pod comes first.
    """
    newest: dict[str, dict[str, float]] = {}
    for one, pod in pods:
        if one.state == ONLINE and one.started_at is not None:
            of = newest.setdefault(pod.deployment, {})
            of[pod.template] = max(of.get(pod.template, 0.0), unix(one.started_at))
    return {
        deployment: dict(sorted(of.items(), key=lambda pair: -pair[1]))
        for deployment, of in newest.items()
    }


def unheard(
    workers: Iterable[WorkerImage], now: float, seconds: float
) -> list[WorkerImage]:
    """Return the workers that are gone, and were not heard for so many seconds."""
    return [one for one in workers if _is_unheard(one, now, seconds)]


def _is_unheard(one: WorkerImage, now: float, seconds: float) -> bool:
    return one.state in GONE and now - _heard(one) > seconds


def _is_replaced(
    old: WorkerImage, pod: Pod, newest: Mapping[str, float], patience: float
) -> bool:
    """Say whether an online worker took the place of `old`.

    A pod of another template replaces every older one. One of the same template may
    be a twin, unless it began about when `old` was last heard, or later. `newest`
    is what `_newest` returns of its deployment.
    """
    since = _heard(old) - patience
    if newest.get(pod.template, 0.0) > since:
        return True
    if old.started_at is not None:
        since = unix(old.started_at)
    others = (at for its, at in newest.items() if its != pod.template)
    return next(others, 0.0) > since


def longest_gone(workers: Iterable[WorkerImage]) -> list[WorkerImage]:
    """Return `workers` as they leave: first who said goodbye, then by silence."""
    return sorted(workers, key=lambda one: (one.state != OFFLINE, _heard(one)))


def _heard(one: WorkerImage) -> float:
    return unix(one.last_heartbeat_at) if one.last_heartbeat_at else 0.0
