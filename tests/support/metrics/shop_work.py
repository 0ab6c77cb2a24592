"""Work of all outcomes for a worker, and the series that it must be counted in."""

from collections import Counter
from typing import Any, cast

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support.celery.default_project import Stranger
from tests.support.clients.http import WITH_TOKEN

Counts = Counter[tuple[str, str]]
"""Values by series and task, such as ("celery_task_sent_total", "shop.pay")."""

PACK_S = 0.06
ONCE = {"sent": 1, "received": 1}
RUN_NUMBERS = {
    "shop.pay": {"succeeded": 1},
    "shop.refuse": {"failed": 1},
    "shop.ship": {"received": 3, "retried": 2, "succeeded": 1},
    "shop.pack": {"succeeded": 1},
    "shop.decline": {"failed": 1, "rejected": 1},
    "shop.note": {"revoked": 1},
}
"""What a task of each name is counted as, besides sent and received once.

A worker sends no event of a retry's message.
"""


class ShopWork:
    """Sends tasks, and knows what must have been counted."""

    def __init__(self, shop: Stranger) -> None:
        self._app = cast(Any, shop.app)
        self.expected: Counts = Counter()

    def send_all(self, number: int) -> None:
        """Send `number` tasks of each outcome."""
        for _ in range(number):
            self._app.send_task("shop.pay", [21])
            self._app.send_task("shop.refuse", ["no"])
            self._app.send_task("shop.ship", [2])
            self._app.send_task("shop.pack", [PACK_S])
            self._app.send_task("shop.decline")
            # Received, and expired by the time it is to run.
            self._app.send_task("shop.note", ["late"], countdown=2, expires=1)
        for name, counted in RUN_NUMBERS.items():
            for event, value in (ONCE | counted).items():
                self.expected[f"celery_task_{event}_total", name] += number * value

    def occupy(self, seconds: float) -> str:
        """Send a task that runs for so long; return its id."""
        for event in ("sent", "received"):
            self.expected[f"celery_task_{event}_total", "shop.pack"] += 1
        self.expected["celery_worker_tasks_active", ""] = 1
        return str(self._app.send_task("shop.pack", [seconds]).id)

    def terminate(self, task_id: str) -> None:
        """Terminate what `occupy` sent."""
        self._app.control.revoke(task_id, terminate=True)
        self.expected["celery_task_revoked_total", "shop.pack"] += 1
        self.expected["celery_worker_tasks_active", ""] = 0

    def pile_up(self, number: int) -> None:
        """Send `number` tasks that wait, since there is no worker any more."""
        for _ in range(number):
            self._app.send_task("shop.pay", [1])
        self.expected["celery_task_sent_total", "shop.pay"] += number
        self.expected["celery_queue_length", ""] = number
        self.expected["celery_worker_up", ""] = 0


def read_counts(address: str) -> Counts:
    """Return the sums of the series at `address`, by their names and tasks."""
    url = f"http://{address}/metrics"
    text = httpx2.get(url, headers=WITH_TOKEN, timeout=20, trust_env=False).text
    found: Counts = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, sample.labels.get("name", "")] += sample.value  # type: ignore[assignment]
    return found
