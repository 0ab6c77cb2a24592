"""What the boards and alerts of celery-mixin query, for one job of a Prometheus."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.environment import ROOT
from tests.support.metrics.prometheus import Prometheus, Values

CLUSTER = "test-cluster"
NAMESPACE = "test-namespace"
LABELS = {"cluster": CLUSTER, "namespace": NAMESPACE}
"""Labels that the boards select, and that Kubernetes gives to what is scraped there."""

CELERY_JOBS = ".*celery.*"
"""The jobs that the alerts select."""

MIXIN: dict[str, Any] = json.loads(
    (ROOT / "tests" / "support" / "metrics" / "celery_mixin.json").read_text()
)
SERIES: dict[str, list[str]] = MIXIN["series"]
"""The series that the queries select, with the labels that they use."""

_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.*), (?P<label>\w+)\)")


def list_queries(job: str, window: str) -> Iterator[str]:
    """Yield all queries of the boards, for all queues and tasks of `job`."""
    for board in MIXIN["boards"].values():
        for query in board["queries"]:
            yield _fill(query, job, window)


def list_variables(server: Prometheus, job: str) -> dict[str, list[str]]:
    """Return what the variables of the boards offer, by their place and name."""
    return {
        f"{title}: {name}": _list_label_values(server, _fill(query, job, "1m"))
        for title, board in MIXIN["boards"].items()
        for name, query in board["variables"].items()
        if name not in ("cluster", "namespace", "job")
    }


def read_alerts(server: Prometheus, at: float) -> dict[str, dict[str, Values]]:
    """Return alert → job → what its expression selects at `at` (unix seconds)."""
    found: dict[str, dict[str, Values]] = {}
    for alert, query in MIXIN["alerts"].items():
        jobs = found.setdefault(alert, {})
        for labels, value in server.query(query, at).items():
            job = dict(labels)["job"]
            jobs.setdefault(job, {})[omit_target(labels)] = value
    return found


def omit_target(labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return `labels` without those that say which target they come from."""
    return frozenset(one for one in labels if one[0] not in ("job", "instance"))


def read_board_values(server: Prometheus, query: str, at: float) -> Values:
    """Return the vector of `query`, with the labels that tasks give it."""
    found = server.query(query, at)
    return {omit_target(labels): value for labels, value in found.items()}


def _fill(query: str, job: str, window: str) -> str:
    """Put values for Grafana's variables: all queues and tasks, and `window`."""
    for variable, value in (
        ("$cluster", CLUSTER),
        ("$namespace", NAMESPACE),
        ("$job", job),
        ("$queue_name", ".*"),
        ("$task", ".*"),
        ("$__rate_interval", window),
        ("$__range", window),
    ):
        query = query.replace(variable, value)
    return query


def _list_label_values(server: Prometheus, query: str) -> list[str]:
    found = _LABEL_VALUES.fullmatch(query)
    assert found, query
    return server.list_label_values(found["label"], found["selector"])
