"""Constructors of Prometheus metric families. All names begin with `herald_`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def make_gauge(name: str, help_: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"herald_{name}", help_, value=value)


def make_counter(name: str, help_: str, value: float) -> Metric:
    """Return a counter without labels; `name` is without `_total`."""
    return CounterMetricFamily(f"herald_{name}", help_, value=value)


def make_gauges(
    name: str, help_: str, label: str, values: Mapping[str, float]
) -> Metric:
    """Return a gauge with one sample per value of a label."""
    family = GaugeMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def make_counters(
    name: str, help_: str, label: str, values: Mapping[str, float]
) -> Metric:
    """Return a counter with one sample per value of a label."""
    family = CounterMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def add_label(family: Metric, label: str, value: str) -> Metric:
    """Return a family with one label more on each sample."""
    family.samples = [
        one._replace(labels={**one.labels, label: value}) for one in family.samples
    ]
    return family


def merge_families(families: Iterable[Metric]) -> list[Metric]:
    """Return families with all samples of the same name together."""
    merged: dict[str, Metric] = {}
    for family in families:
        known = merged.setdefault(family.name, family)
        if known is not family:
            known.samples = [*known.samples, *family.samples]
    return list(merged.values())
