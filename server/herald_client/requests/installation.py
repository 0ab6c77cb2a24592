"""Requests about Herald itself: health, the caller, environments, the audit log."""

from __future__ import annotations

from herald_client.requests.request import JsonObject, Request, make_get


def get_health() -> Request[JsonObject]:
    """Return Herald's own health: `status`, `problem`, gaps, monitors, the store."""
    return make_get("health", answer=JsonObject)


def get_caller() -> Request[JsonObject]:
    """Return who the token is: `name`, `scopes`, `narrowed`; and links of tasks."""
    return make_get("page", answer=JsonObject)


def list_environments() -> Request[JsonObject]:
    """Return the environments that the token may use."""
    return make_get("environments", answer=JsonObject)


def list_audit(limit: int | None = None) -> Request[JsonObject]:
    """Return the newest entries of the audit log as `orders`."""
    return make_get("audit", answer=JsonObject, query={"limit": limit})
