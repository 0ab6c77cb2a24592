"""Webhooks in figures, for `/metrics`: as the store has them, so each process tells
the same.

| name | labels | what it counts |
|---|---|---|
| `herald_webhook_deliveries_total` | `webhook`, `outcome` | attempts and their ends |
| `herald_webhook_waiting` | `webhook` | messages that wait to be sent |
| `herald_webhook_lag_seconds` | `webhook` | since the oldest change that waits |
| `herald_webhook_breaker_open` | `webhook` | 1 while it is left alone |
| `herald_webhook_disabled` | `webhook` | 1 after a 410 Gone |
| `herald_webhook_resets_total` | `webhook` | times that changes were missed |

Of the endpoints the first `MOST_SHOWN` are shown, by id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from herald_monitor.model.shape import unix
from herald_server.webhooks.breaker import CLOSED
from herald_server.webhooks.register import State

MOST_SHOWN = 50
OUTCOMES = ("accepted", "failed", "given_up")


def measures(states: Mapping[str, State], now: float) -> Iterator[Metric]:
    """Yield the metrics of endpoints by how they fare at `now` (unix seconds)."""
    shown = dict(sorted(states.items())[:MOST_SHOWN])
    sent = CounterMetricFamily(
        "herald_webhook_deliveries",
        "Attempts that were accepted or failed, and messages that were given up",
        labels=["webhook", "outcome"],
    )
    for id_, state in shown.items():
        for outcome in OUTCOMES:
            sent.add_metric([id_, outcome], getattr(state, outcome))
    yield sent
    resets = CounterMetricFamily(
        "herald_webhook_resets", "Times that changes were missed", labels=["webhook"]
    )
    for id_, state in shown.items():
        resets.add_metric([id_], state.resets)
    yield resets

    def gauge(name: str, help_: str, value: Callable[[State], float]) -> Metric:
        family = GaugeMetricFamily(f"herald_webhook_{name}", help_, labels=["webhook"])
        for id_, state in shown.items():
            family.add_metric([id_], value(state))
        return family

    yield gauge("waiting", "Messages that wait to be sent", lambda s: s.waiting)
    yield gauge(
        "lag_seconds",
        "Seconds since the oldest change that waits",
        lambda s: max(now - unix(s.oldest_at), 0.0) if s.oldest_at else 0.0,
    )
    yield gauge(
        "breaker_open", "Whether it is left alone", lambda s: s.breaker != CLOSED
    )
    yield gauge("disabled", "Whether it answered 410 Gone", lambda s: s.disabled_at > 0)
