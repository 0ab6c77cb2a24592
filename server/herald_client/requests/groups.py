"""Requests about groups and chains."""

from __future__ import annotations

from herald_client.requests.request import JsonObject, Request, make_get, make_post


def get_group(group_id: str, tasks: int | None = None) -> Request[JsonObject]:
    """Return how far a group or chain is, and at most `tasks` of its members.

    Raises `ServerProblem` with status 404 if nothing is known of it.
    """
    return make_get("groups", group_id, answer=JsonObject, query={"tasks": tasks})


def list_groups(limit: int | None = None) -> Request[JsonObject]:
    """Return the groups with the newest members."""
    return make_get("groups", answer=JsonObject, query={"limit": limit})


def cancel_group(group_id: str) -> Request[JsonObject]:
    """Cancel all known members that have not ended; return `outcomes` and `tasks`."""
    return make_post("groups", group_id, "cancel", answer=JsonObject)
