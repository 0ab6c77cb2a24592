"""Metric families of Prometheus, as short words. All names begin with `herald_`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauge(name: str, help_: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"herald_{name}", help_, value=value)


def counter(name: str, help_: str, value: float) -> Metric:
    """Return a counter without labels; `name` is without `_total`."""
    return CounterMetricFamily(f"herald_{name}", help_, value=value)


def gauges(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge for each value of a label."""
    family = GaugeMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def counters(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a counter for each value of a label."""
    family = CounterMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
