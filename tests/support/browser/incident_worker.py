"""A worker of the bad night: what it says of itself, what it did, orders to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.browser.scripted_server import Frame

PATH = "api/v1/workers/mail%40w1"


def answers(now: datetime) -> dict[str, Any]:
    """Return what a server answers about the worker at `now`, by path."""

    def at(seconds: float) -> str:
        when = (now - timedelta(seconds=seconds)).astimezone(UTC)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    held = {"total": 1, "tasks": [{"id": "r1", "name": "reports.build_year"}]}
    detail: Frame = {
        "hostname": "mail@w1",
        "state": "online",
        "pool": "prefork",
        "pid": 4_100,
        "asked": {
            "at": at(1),
            "unanswered": ["conf"],
            "message": "It left open: conf. It is busy, or remote control is off.",
        },
        "uptime_seconds": 4_200.0,
        "prefetch": 8,
        "pool_details": {"max_concurrency": 2, "processes": [4_101, 4_102]},
        "rusage": {"maxrss": 90_000, "utime": 12.5},
        "totals": {"mail.send_one": 312},
        "queues": [{"name": "mail", "routing_keys": ["mail"]}],
        "active_tasks": held,
        "reserved_tasks": held,
        "scheduled_tasks": {"total": 0, "tasks": []},
        "revoked_tasks": {"total": 2, "ids": ["a", "b"]},
        "registered": [{"name": "mail.send_one", "rate_limit": "10/m"}],
        "can_be_ordered": True,
    }
    run = {"id": "d1", "name": "billing.capture", "attempt": 1, "state": "FAILURE"}
    history = {
        "runs": [{**run, "started_at": at(90), "finished_at": at(80), "runtime": 10.0}],
        "changes": [{"at": at(100), "worker": "mail@w1", "state": "started"}],
        "state_before": None,
        "total": 1,
        "searched": 20_000,
        "whole": False,
        "message": "1 runs were found; 20,000 tasks were searched, back to 02:00.",
    }
    return {PATH: detail, f"{PATH}/history": history, f"{PATH}/orders": {"id": "o1"}}


def order(state: str, message: str = "") -> Frame:
    """Return an order to the worker, as it is pushed."""
    return {
        "id": "o1",
        "kind": "pool_grow",
        "state": state,
        "who": "ops",
        "target": "mail@w1",
        "message": message,
        "requested_at": "2026-11-30T02:13:00.000Z",
        "details": {"arguments": {"n": 2}},
    }
