"""Schedules of periodic tasks on the bad night, as a server shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def make_schedules(at: Callable[[float], str]) -> list[dict[str, Any]]:
    """Return three schedules; `at` returns the time so many seconds ago."""

    def make(id_: str, name: str, state: str, **fields: Any) -> dict[str, Any]:
        common = {"task": "reports.load", "source": "app", "schedule": "0 * * * *"}
        given: dict[str, Any] = {"muted": False, "confirmed": True, "problems": []}
        texts = {"args": "()", "kwargs": "{}", "timezone": "UTC"}
        image = {"id": id_, "name": name, "state": state, **common, **given, **texts}
        return {**image, "strip": [{"at": at(4_000), "ok": 2, "missed": 1}], **fields}

    message = f"It was due at {at(3_600)}, and nothing was submitted within 30 s."
    missed = {"kind": "missed", "since": at(3_600), "message": message}
    last = {"task_id": "r9", "state": "SUCCESS", "submitted_at": at(9_000)}
    learnt = {"runs": 9, "interval_s": 60.0, "jitter_s": 0.1}
    return [
        make("app-1", "hourly", "ok", last_run=last, next_run=at(-600)),
        # Muted: it needs nobody.
        make("app-2", "nightly", "missed", muted=True, problems=[missed]),
        make(
            "learnt-1", "billing.collect", "unconfirmed", confirmed=False, learnt=learnt
        ),
    ]
