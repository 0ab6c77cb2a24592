"""Requests about the schedules of periodic tasks."""

from __future__ import annotations

from herald_client.models.answers import ScheduleList
from herald_client.requests.request import JsonObject, Request, make_get, make_post


def list_schedules() -> Request[ScheduleList]:
    """Return the schedules of periodic tasks, the most urgent first."""
    return make_get("schedules", answer=ScheduleList)


def get_schedule(key: str) -> Request[JsonObject]:
    """Return the schedule with an id or name."""
    return make_get("schedules", key, answer=JsonObject)


def order_schedule(key: str, action: str) -> Request[JsonObject]:
    """Confirm, mute, unmute or run the schedule with an id or name."""
    return make_post("schedules", key, action, answer=JsonObject)
