"""What `/metrics` shows under the names of celery-exporter."""

from collections.abc import Iterable
from math import inf

from prometheus_client.core import Exemplar, Metric
from prometheus_client.samples import Sample

from herald_core.model.rollups.counter_delta import CounterLabels
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_core.store.task_counters import OTHER_LABELS, TaskCounter
from herald_server.api.context import CeleryMetricsOptions
from herald_server.api.observability.celery_metrics import (
    make_buckets,
    make_celery_metrics,
)

OPTIONS = CeleryMetricsOptions((0.1, 1.0), (1.0,), default_queue="jobs")
LABELS = {"name": "x.add", "hostname": "h", "queue_name": "q"}


def shown(
    counters: Iterable[TaskCounter] = (),
    workers: Iterable[WorkerView] = (),
    queues: Iterable[QueueView] = (),
) -> list[Sample]:
    families: list[Metric] = [
        *make_celery_metrics([*counters], [*workers], [*queues], OPTIONS)
    ]
    return [sample for family in families for sample in family.samples]


def find(samples: list[Sample], name: str) -> list[tuple[dict[str, str], float]]:
    return [(one.labels, one.value) for one in samples if one.name == name]


def test_a_series_of_a_worker_shows_zeros_and_one_of_a_client_none() -> None:
    worker = TaskCounter(labels=CounterLabels("x.add", "q", "h"), events={"started": 2})
    client = TaskCounter(
        labels=CounterLabels("x.add", "q", "web"), events={"submitted": 3}
    )
    found = shown([worker, client])
    assert find(found, "celery_task_started_total") == [(LABELS, 2)]
    assert find(found, "celery_task_revoked_total") == [(LABELS, 0)]
    failed = {**LABELS, "exception": ""}
    assert find(found, "celery_task_failed_total") == [(failed, 0)]
    sent = {**LABELS, "hostname": "web"}
    assert find(found, "celery_task_sent_total") == [(sent, 3)]


def test_a_failure_shows_its_exception_and_nothing_else() -> None:
    labels = CounterLabels("x.add", "q", "h", "KeyError")
    found = shown([TaskCounter(labels=labels, events={"failed": 1})])
    told = {**LABELS, "exception": "KeyError"}
    assert find(found, "celery_task_failed_total") == [(told, 1)]
    assert find(found, "celery_task_started_total") == []


def test_what_is_not_known_is_said_as_celery_exporter_does() -> None:
    found = shown(
        [TaskCounter(labels=CounterLabels("", "", ""), events={"started": 1})]
    )
    [(labels, _)] = find(found, "celery_task_started_total")
    assert labels == {"name": "None", "hostname": "None", "queue_name": "jobs"}


def test_a_queue_that_is_not_known_adds_to_the_default_one() -> None:
    """Prometheus refuses two samples of the same labels."""
    events = {"received": 1}
    counters = [
        TaskCounter(labels=CounterLabels("x.add", queue, "h"), events=events)
        for queue in ("", "jobs")
    ]
    labels = {**LABELS, "queue_name": "jobs"}
    assert find(shown(counters), "celery_task_received_total") == [(labels, 2)]


def test_what_is_folded_is_counted() -> None:
    found = shown(
        [TaskCounter(labels=OTHER_LABELS, events={"started": 4, "failed": 1})]
    )
    assert find(found, "herald_metrics_folded_events_total") == [({}, 5)]


def test_histograms_are_cumulative() -> None:
    one = TaskCounter(
        labels=CounterLabels("x.add", "q", "h"),
        runtimes={0.1: 2, inf: 1},
        runtime_s=9.2,
        waits={1.0: 1},
        wait_s=0.5,
    )
    found = shown([one])
    buckets = find(found, "celery_task_runtime_bucket")
    assert [(labels["le"], n) for labels, n in buckets] == [
        ("0.1", 2),
        ("1.0", 2),
        ("+Inf", 3),
    ]
    assert find(found, "celery_task_runtime_count") == [(LABELS, 3)]
    assert find(found, "celery_task_runtime_sum") == [(LABELS, 9.2)]
    assert find(found, "celery_task_queue_wait_time_sum") == [(LABELS, 0.5)]


def test_other_bounds_count_in_the_next_one_above() -> None:
    found = make_buckets({0.05: 1, 0.1: 1, 0.5: 2, 5.0: 4}, (0.1, 1.0))
    assert found == [("0.1", 2), ("1.0", 4), ("+Inf", 8)]


def test_the_bucket_of_a_trace_has_it_as_an_exemplar() -> None:
    found = make_buckets({1.0: 1}, (0.1, 1.0), ("ab" * 16, 0.5))
    assert [len(one) for one in found] == [2, 3, 2]
    exemplar = found[1][-1]
    assert isinstance(exemplar, Exemplar)
    assert exemplar.labels == {"trace_id": "ab" * 16}
    assert exemplar.value == 0.5


def test_workers_of_one_host_are_one_series() -> None:
    workers = [
        WorkerView(id="a@h", hostname="a@h", state="online", active=2, slots=4),
        WorkerView(id="b@h", hostname="b@h", state="offline", active=3, slots=4),
        WorkerView(id="c@i", hostname="c@i", state="silent", active=1),
    ]
    queues = [
        QueueView(
            id="q", name="q", depth=7, consumers=("a@h", "b@h", "gone@x"), as_of="now"
        ),
        QueueView(id="r", name="r", consumer_count=5, as_of="now"),
    ]
    found = shown((), workers, queues)

    def by(name: str) -> dict[str, float]:
        return {"".join(labels.values()): v for labels, v in find(found, name)}

    assert by("celery_worker_up") == {"h": 1, "i": 0}
    assert by("celery_worker_tasks_active") == {"h": 2, "i": 0}
    assert by("celery_queue_length") == {"q": 7}
    assert by("celery_active_consumer_count") == {"q": 1, "r": 5}
    assert by("celery_active_worker_count") == {"q": 1}
    assert by("celery_active_process_count") == {"q": 4}
