"""Metrics of Prometheus as those of OpenTelemetry. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Sample

from herald_server.telemetry.spans import SCOPE

CUMULATIVE = AggregationTemporality.CUMULATIVE
BUCKET = "_bucket"
LE = "le"

Labels = tuple[tuple[str, str], ...]


def make_metrics_data(
    families: Iterable[Family], resource: Resource, start_ns: int, now_ns: int
) -> MetricsData:
    """Return `families` as cumulative metrics since `start_ns`, read at `now_ns`."""
    metrics = [
        metric
        for family in families
        if (metric := _make_metric(family, start_ns, now_ns)) is not None
    ]
    scope = ScopeMetrics(SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _make_metric(family: Family, start_ns: int, now_ns: int) -> Metric | None:
    if family.type == "histogram":
        points = _make_histogram_points(family.samples, start_ns, now_ns)
        data: Sum | Gauge | Histogram = Histogram(points, CUMULATIVE)
        return Metric(family.name, family.documentation, "", data) if points else None
    numbers = [
        NumberDataPoint(dict(one.labels), start_ns, now_ns, one.value)
        for one in family.samples
        if not one.name.endswith("_created") and math.isfinite(one.value)
    ]
    if not numbers:
        return None
    is_counter = family.type == "counter"
    data = Sum(numbers, CUMULATIVE, True) if is_counter else Gauge(numbers)
    return Metric(family.name, family.documentation, "", data)


def _make_histogram_points(
    samples: Iterable[Sample], start_ns: int, now_ns: int
) -> list[HistogramDataPoint]:
    buckets: dict[Labels, dict[float, float]] = defaultdict(dict)
    sums: dict[Labels, float] = {}
    for one in samples:
        labels = tuple(sorted((k, v) for k, v in one.labels.items() if k != LE))
        if one.name.endswith(BUCKET):
            buckets[labels][float(one.labels[LE])] = one.value
        elif one.name.endswith("_sum"):
            sums[labels] = one.value
    return [
        _make_histogram_point(labels, found, sums.get(labels, 0.0), start_ns, now_ns)
        for labels, found in buckets.items()
    ]


def _make_histogram_point(
    labels: Labels, found: dict[float, float], total: float, start_ns: int, now_ns: int
) -> HistogramDataPoint:
    bounds = sorted(found)
    counts = [int(found[bound]) for bound in bounds]
    # Prometheus' buckets contain those below them.
    single = [counts[0], *(b - a for a, b in pairwise(counts))]
    return HistogramDataPoint(
        dict(labels),
        start_ns,
        now_ns,
        counts[-1],
        total,
        single,
        [bound for bound in bounds if math.isfinite(bound)],
        0.0,
        0.0,
    )
