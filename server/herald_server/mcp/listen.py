"""`subscriptions/listen`: one long answer that tells what changed (newer protocol)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastmcp import FastMCP
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated, event_to_notification
from mcp.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

from herald_monitor.errors import StoreError
from herald_monitor.model.shape import TaskImage
from herald_server.hub import Hub
from herald_server.mcp.access import demand, serving
from herald_server.mcp.tasks import Tasks, need_capability
from herald_server.mcp.uris import watchable
from herald_server.mcp.watching import MOST, Watching
from herald_server.status import Status

MAX_STREAMS = 1_024

Request = ServerRequestContext[Any, Any]


class Listening:
    """The open streams of all clients."""

    def __init__(self, hub: Hub, status: Status, tasks: Tasks) -> None:
        self._hub = hub
        self._status = status
        self._tasks = tasks
        self._open: set[Watching] = set()

    def register(self, mcp: FastMCP[Any]) -> None:
        """Serve `subscriptions/listen` on `mcp`."""
        # FastMCP has no public way to a method of the protocol's own.
        mcp._mcp_server.add_request_handler(  # pyright: ignore[reportPrivateUsage]
            "subscriptions/listen", SubscriptionsListenRequestParams, self._listen
        )

    def close(self) -> None:
        """End all streams; their clients are told that they ended on purpose."""
        for watching in self._open:
            watching.end()

    async def _listen(
        self, ctx: Request, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        with serving():
            demand("read", "subscriptions/listen")
        asked = params.notifications
        ids = _task_ids(asked)
        if ids:
            need_capability(ctx)
        uris = [u for u in asked.resource_subscriptions or () if watchable(u)]
        self._check_room(len(uris) + len(ids))
        # Watched before it is read which of them are known: nothing is missed.
        with serving(), Watching(self._hub, self._status, uris, ids) as watching:
            self._open.add(watching)
            try:
                return await _Stream(ctx, self._tasks, watching).run(asked, uris, ids)
            finally:
                self._open.discard(watching)

    def _check_room(self, asked: int) -> None:
        if asked > MOST:
            raise MCPError(
                INVALID_PARAMS, f"listen to at most {MOST} resources and tasks at once"
            )
        if len(self._open) >= MAX_STREAMS:
            raise MCPError(
                INVALID_REQUEST, "too many streams are open here; try again later"
            )


class _Stream:
    """One stream: what is sent on it, in order."""

    def __init__(self, ctx: Request, tasks: Tasks, watching: Watching) -> None:
        self._ctx = ctx
        self._tasks = tasks
        self._watching = watching
        self._meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        self._revs: dict[str, str | None] = {}
        self._givings_up: dict[str, asyncio.TimerHandle] = {}

    async def run(
        self, asked: SubscriptionFilter, uris: list[str], ids: list[str]
    ) -> SubscriptionsListenResult:
        """Acknowledge, tell the state of each task, then what changes."""
        with serving():
            known = [task.id for task in await self._tasks.known(ids)]
        await self._send(_acknowledged(asked, uris, known, self._meta))
        # What happened between the start of a task and this is told first.
        await self._tell_tasks(known)
        try:
            await self._go_on(uris, known)
        finally:
            for later in self._givings_up.values():
                later.cancel()
        return SubscriptionsListenResult(_meta=self._meta)

    async def _go_on(self, uris: list[str], known: list[str]) -> None:
        while things := await self._watching.changed():
            for thing in things:
                if thing in uris:
                    event = ResourceUpdated(uri=thing)
                    await self._send(event_to_notification(event, self._meta))
            await self._tell_tasks([one for one in things if one in known])

    async def _tell_tasks(self, ids: list[str]) -> None:
        if not ids:
            return
        try:
            tasks = await self._tasks.known(ids)
        except StoreError:
            for one in ids:
                self._watching.again(one)
            return
        for task in tasks:
            if self._revs.get(task.id) != task.rev:
                self._revs[task.id] = task.rev
                await self._send(await self._tasks.notification(task, self._meta))
                self._tell_given_up(task)

    def _tell_given_up(self, task: TaskImage) -> None:
        """Have `task` told once more when it is given up: nothing changes then."""
        later = self._givings_up.pop(task.id, None)
        if later is not None:
            later.cancel()
        left = self._tasks.given_up_in(task)
        if left:
            loop = asyncio.get_running_loop()
            self._givings_up[task.id] = loop.call_later(left, self._once_more, task.id)

    def _once_more(self, task_id: str) -> None:
        self._revs.pop(task_id, None)
        self._watching.again(task_id)

    async def _send(self, notification: Any) -> None:
        await self._ctx.session.send_notification(
            notification, related_request_id=self._ctx.request_id
        )


def _task_ids(asked: SubscriptionFilter) -> list[str]:
    ids: object = (asked.model_extra or {}).get("taskIds") or []
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):  # pyright: ignore[reportUnknownVariableType]
        raise MCPError(INVALID_PARAMS, "taskIds must be a list of task ids")
    return [str(one) for one in ids]  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _acknowledged(
    asked: SubscriptionFilter, uris: list[str], ids: list[str], meta: dict[str, Any]
) -> SubscriptionsAcknowledgedNotification:
    honored = SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=uris or None,
        **({"taskIds": ids} if ids else {}),
    )
    return SubscriptionsAcknowledgedNotification(
        params=SubscriptionsAcknowledgedNotificationParams(
            notifications=honored, _meta=meta
        )
    )
