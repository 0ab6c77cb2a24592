"""Webhooks in figures, for `/metrics`: as the store has them, so each process reports
the same.

Of the endpoints the first `MAX_ENDPOINTS_SHOWN` are shown, by id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from herald_core.model.tasks.views import from_rfc3339
from herald_server.webhooks.circuit_breaker import CLOSED
from herald_server.webhooks.repository import EndpointState

MAX_ENDPOINTS_SHOWN = 50
OUTCOMES = ("accepted", "failed", "given_up")

Gauge = Callable[[EndpointState, float], float]
"""The value of an endpoint's state at a time (unix seconds)."""

GAUGES: Mapping[str, tuple[str, Gauge]] = {
    "waiting": ("Messages that wait to be sent", lambda state, _: state.waiting),
    "lag_seconds": (
        "Age of the oldest waiting change in seconds",
        lambda state, now: (
            max(now - from_rfc3339(state.oldest_at), 0.0) if state.oldest_at else 0.0
        ),
    ),
    "breaker_open": (
        "1 while deliveries to the webhook are suspended, else 0",
        lambda state, _: state.breaker != CLOSED,
    ),
    "disabled": (
        "1 if the webhook answered 410 Gone, else 0",
        lambda state, _: state.disabled_at > 0,
    ),
}
"""By name, what each gauge means, and its value."""


def make_webhook_metrics(
    states: Mapping[str, EndpointState], now: float
) -> Iterator[Metric]:
    """Yield the metrics of the endpoints with `states` at `now` (unix seconds)."""
    shown = sorted(states.items())[:MAX_ENDPOINTS_SHOWN]
    sent = CounterMetricFamily(
        "herald_webhook_deliveries",
        "Delivery attempts by outcome, and abandoned messages",
        labels=["webhook", "outcome"],
    )
    resets = CounterMetricFamily(
        "herald_webhook_resets", "Times that changes were missed", labels=["webhook"]
    )
    for id_, state in shown:
        for outcome in OUTCOMES:
            sent.add_metric([id_, outcome], getattr(state, outcome))
        resets.add_metric([id_], state.resets)
    yield from (sent, resets)
    for name, (help_, measure) in GAUGES.items():
        family = GaugeMetricFamily(f"herald_webhook_{name}", help_, labels=["webhook"])
        for id_, state in shown:
            family.add_metric([id_], measure(state, now))
        yield family
