"""Metrics of Prometheus as those of OpenTelemetry."""

from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
from opentelemetry.sdk.resources import Resource
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from herald_server.telemetry.metric_data import make_metrics_data


def convert(family: Metric) -> object:
    data = make_metrics_data([family], Resource({}), 1, 2)
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return metrics[0].data if metrics else None


def test_a_counter_is_a_monotonic_sum() -> None:
    family = CounterMetricFamily("runs", "help", labels=["name"])
    family.add_metric(["pay"], 3)
    data = convert(family)
    assert isinstance(data, Sum)
    assert data.is_monotonic
    assert [(p.attributes, p.value) for p in data.data_points] == [({"name": "pay"}, 3)]


def test_a_gauge_without_a_number_is_left_out() -> None:
    data = convert(GaugeMetricFamily("depth", "help", value=5))
    assert isinstance(data, Gauge)
    assert convert(GaugeMetricFamily("age", "help", value=float("inf"))) is None


def test_a_histogram_has_buckets_of_their_own() -> None:
    family = HistogramMetricFamily("runtime", "help")
    family.add_metric([], [("1", 2), ("5", 3), ("+Inf", 4)], sum_value=9.0)
    data = convert(family)
    assert isinstance(data, Histogram)
    [point] = data.data_points
    assert (point.count, point.sum) == (4, 9.0)
    assert list(point.bucket_counts) == [2, 1, 1]
    assert list(point.explicit_bounds) == [1.0, 5.0]
