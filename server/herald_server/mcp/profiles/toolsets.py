"""Toolsets, and the rights that each tool needs. Pure."""

from __future__ import annotations

from typing import NamedTuple

from herald_server.auth.identity import Identity

_READ = {"read"}
_START = {"start"}
_CANCEL = {"cancel"}
_ADMIN = {"admin"}
_EITHER = {"start", "cancel"}

_TOOLSETS: dict[str, dict[str, set[str]]] = {
    "tasks": {
        "start_background_task": _START,
        "get_task_status": _READ,
        "wait_for_task": _READ,
        "get_task_result": _READ,
        "cancel_task": _CANCEL,
        "list_active_tasks": _READ,
        "list_tasks": _READ,
        "get_task_history": _READ,
        "explain_task": _READ,
        "retry_task": _START,
        "list_task_types": _READ,
    },
    "groups": {
        "start_task_group": _START,
        "start_task_chain": _START,
        "get_group_status": _READ,
        "wait_for_group": _READ,
        "cancel_group": _CANCEL,
    },
    "changes": {"wait_for_changes": _READ},
    "stats": {"get_task_stats": _READ, "list_failures": _READ},
    "alerts": {"list_alerts": _READ},
    "workers": {
        "list_workers": _READ,
        "get_worker": _READ,
        "order_worker": _ADMIN,
        "dismiss_worker": _ADMIN,
    },
    "queues": {
        "list_queues": _READ,
        "pause_queue": _ADMIN,
        "resume_queue": _ADMIN,
        "purge_queue": _ADMIN,
    },
    "orders": {
        "prepare_bulk_order": _READ,
        "confirm_bulk_order": _EITHER,
        "list_orders": _READ,
        "stop_order": _EITHER,
    },
    "schedules": {
        "list_schedules": _READ,
        "run_schedule": _START,
        "mark_schedule": _ADMIN,
    },
    "deploys": {
        "mark_deploy": {"mark"},
        "list_marks": _READ,
        "compare_with_mark": _READ,
    },
    "webhooks": {
        "register_webhook": _ADMIN,
        "list_webhooks": _ADMIN,
        "delete_webhook": _ADMIN,
    },
}

TOOLSET_NAMES = tuple(_TOOLSETS)

UNNARROWED_TOOLS = frozenset(
    (
        *("get_worker", "order_worker", "dismiss_worker"),
        *("pause_queue", "resume_queue", "run_schedule", "mark_schedule"),
        *_TOOLSETS["deploys"],
        *_TOOLSETS["webhooks"],
    )
)
"""Tools that a token narrowed to some tasks is always refused."""


class ToolRights(NamedTuple):
    """What a tool needs: one of `scopes`."""

    toolset: str
    scopes: frozenset[str]


RIGHTS = {
    name: ToolRights(toolset, frozenset(scopes))
    for toolset, tools in _TOOLSETS.items()
    for name, scopes in tools.items()
}


def may_ever_use(who: Identity, tool: str) -> bool:
    """Return True unless `who` is refused the tool whatever its arguments are.

    An issuer may give its token more scopes once a call asks for them.
    """
    if who.task_filter is not None and tool in UNNARROWED_TOOLS:
        return False
    rights = RIGHTS.get(tool)
    return rights is None or not rights.scopes.isdisjoint(who.potential_scopes)
