"""Requests about webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from herald_client.requests.request import (
    JsonObject,
    Request,
    make_delete,
    make_get,
    make_post,
)


def list_webhooks() -> Request[JsonObject]:
    """Return all webhooks, with their state, as `webhooks`."""
    return make_get("webhooks", answer=JsonObject)


def get_webhook(webhook_id: str) -> Request[JsonObject]:
    """Return a webhook with its state."""
    return make_get("webhooks", webhook_id, answer=JsonObject)


def register_webhook(
    url: str,
    *,
    on: str | Iterable[str] | None = None,
    filter: Mapping[str, object] | None = None,
    format: str | None = None,
    description: str | None = None,
    secret: str | None = None,
) -> Request[JsonObject]:
    """Have changes of tasks posted to `url`. The answer alone has the `secret`.

    `on` is `final` (the default), `states`, `updates`, or states.
    """
    body = {
        **{"url": url, "on": on if on is None or isinstance(on, str) else list(on)},
        **{"filter": None if filter is None else dict(filter), "format": format},
        **{"description": description, "secret": secret},
    }
    return make_post("webhooks", body=body, answer=JsonObject)


def delete_webhook(webhook_id: str) -> Request[JsonObject]:
    """Delete a webhook, and what waits for it."""
    return make_delete("webhooks", webhook_id, answer=JsonObject)


def list_dead_messages(
    webhook_id: str, limit: int | None = None
) -> Request[JsonObject]:
    """Return the messages that were given up, the latest first."""
    query = {"limit": limit}
    return make_get("webhooks", webhook_id, "dead", answer=JsonObject, query=query)


def replay_webhook(
    webhook_id: str, ids: Iterable[str] | None = None
) -> Request[JsonObject]:
    """Send messages that were given up again: all, or those of `ids`."""
    body = {"ids": None if ids is None else list(ids)}
    return make_post("webhooks", webhook_id, "replay", body=body, answer=JsonObject)


def rotate_webhook(webhook_id: str, keep: float | None = None) -> Request[JsonObject]:
    """Return a new secret; the old one signs too, for `keep` s (a day)."""
    body = {"keep": keep}
    return make_post("webhooks", webhook_id, "rotate", body=body, answer=JsonObject)


def enable_webhook(webhook_id: str) -> Request[JsonObject]:
    """Let a webhook that answered 410 go on."""
    return make_post("webhooks", webhook_id, "enable", answer=JsonObject)
