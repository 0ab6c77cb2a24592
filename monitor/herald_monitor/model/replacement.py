"""Which worker took the place of one that is gone, by the names of Kubernetes' pods.

The controller of a Deployment names a pod NAME-TEMPLATE-SUFFIX: a hash of the pod
template (`pod-template-hash`), and five random characters. Both use the alphabet of
`k8s.io/apimachinery/pkg/util/rand`, which has no vowels and no 0, 1 and 3. A
StatefulSet gives its pods their names back. No other name tells of a replacement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from herald_monitor.model.shape import unix
from herald_monitor.model.workers import GONE, ONLINE, WorkerImage

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
    known = [(one, pod) for one in workers if (pod := pod_of(one.hostname))]
    online = [(one, pod) for one, pod in known if one.state == ONLINE]
    return [
        one
        for one, pod in known
        if _is_unheard(one, now, patience)
        and any(_replaces(other, its, one, pod, patience) for other, its in online)
    ]


def unheard(
    workers: Iterable[WorkerImage], now: float, seconds: float
) -> list[WorkerImage]:
    """Return the workers that are gone, and were not heard for so many seconds."""
    return [one for one in workers if _is_unheard(one, now, seconds)]


def _is_unheard(one: WorkerImage, now: float, seconds: float) -> bool:
    return one.state in GONE and now - _heard(one) > seconds


def _replaces(
    new: WorkerImage, its: Pod, old: WorkerImage, pod: Pod, patience: float
) -> bool:
    """Say whether the online worker `new` took the place of `old`.

    A pod of another template replaces every older one. One of the same template may
    be a twin, unless it began about when `old` was last heard, or later.
    """
    if its.deployment != pod.deployment or new.started_at is None:
        return False
    since = _heard(old) - patience
    if its.template != pod.template and old.started_at is not None:
        since = unix(old.started_at)
    return unix(new.started_at) > since


def _heard(one: WorkerImage) -> float:
    return unix(one.last_heartbeat_at) if one.last_heartbeat_at else 0.0
