"""`subscriptions/listen`: one long response that streams changes (newer protocol)."""

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

from herald_core.errors import StoreError
from herald_core.model.tasks.views import TaskView
from herald_server.mcp.http.auth import convert_to_mcp_error, require_scope
from herald_server.mcp.http.stream_quota import StreamQuota
from herald_server.mcp.resources.watcher import MAX_WATCHED, ResourceWatcher
from herald_server.mcp.tasks_extension.extension import (
    TasksExtension,
    require_capability,
)
from herald_server.mcp.uris import is_watchable
from herald_server.push.log.hub import Hub
from herald_server.push.status import ServerStatus

MAX_STREAMS = 1_024

Request = ServerRequestContext[Any, Any]


class SubscriptionStreams:
    """The open streams of all clients."""

    def __init__(self, hub: Hub, status: ServerStatus, tasks: TasksExtension) -> None:
        self._hub = hub
        self._status = status
        self._tasks = tasks
        self._watchers: set[ResourceWatcher] = set()
        self._quota = StreamQuota(MAX_STREAMS, INVALID_REQUEST)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Serve `subscriptions/listen` on `mcp`."""
        # FastMCP has no public method to handle a method of the protocol.
        mcp._mcp_server.add_request_handler(  # pyright: ignore[reportPrivateUsage]
            "subscriptions/listen", SubscriptionsListenRequestParams, self._listen
        )

    def close(self) -> None:
        """End all streams; clients get a reason."""
        for watching in self._watchers:
            watching.end()

    async def _listen(
        self, ctx: Request, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        with convert_to_mcp_error():
            who = require_scope("read", "subscriptions/listen")
        filter_ = params.notifications
        ids = _parse_task_ids(filter_)
        if ids:
            require_capability(ctx)
        uris = [u for u in filter_.resource_subscriptions or () if is_watchable(u)]
        _check_count(len(uris) + len(ids))
        # Subscribed before the known ones are read, so that nothing is missed.
        with (
            self._quota.hold(who),
            convert_to_mcp_error(),
            ResourceWatcher(self._hub, self._status, uris, ids) as watching,
        ):
            self._watchers.add(watching)
            try:
                return await _SubscriptionStream(ctx, self._tasks, watching).run(
                    filter_, uris, ids
                )
            finally:
                self._watchers.discard(watching)


def _check_count(count: int) -> None:
    if count > MAX_WATCHED:
        raise MCPError(
            INVALID_PARAMS,
            f"listen to at most {MAX_WATCHED} resources and tasks at once",
        )


class _SubscriptionStream:
    """One stream and the messages on it, in order."""

    def __init__(
        self, ctx: Request, tasks: TasksExtension, watching: ResourceWatcher
    ) -> None:
        self._ctx = ctx
        self._tasks = tasks
        self._watcher = watching
        self._meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        self._revs: dict[str, str | None] = {}
        self._give_up_timers: dict[str, asyncio.TimerHandle] = {}

    async def run(
        self, filter_: SubscriptionFilter, uris: list[str], ids: list[str]
    ) -> SubscriptionsListenResult:
        """Acknowledge, send the state of each task, then the changes."""
        with convert_to_mcp_error():
            known = [task.id for task in await self._tasks.read_known(ids)]
        await self._send(_make_acknowledgement(filter_, uris, known, self._meta))
        # Changes since the start of a task are sent first.
        await self._send_tasks(known)
        try:
            await self._send_updates(uris, known)
        finally:
            for later in self._give_up_timers.values():
                later.cancel()
        return SubscriptionsListenResult(_meta=self._meta)

    async def _send_updates(self, uris: list[str], known: list[str]) -> None:
        while things := await self._watcher.wait_for_changes():
            for thing in things:
                if thing in uris:
                    event = ResourceUpdated(uri=thing)
                    await self._send(event_to_notification(event, self._meta))
            await self._send_tasks([one for one in things if one in known])

    async def _send_tasks(self, ids: list[str]) -> None:
        if not ids:
            return
        try:
            tasks = await self._tasks.read_known(ids)
        except StoreError:
            for one in ids:
                self._watcher.repeat(one)
            return
        for task in tasks:
            if self._revs.get(task.id) != task.rev:
                self._revs[task.id] = task.rev
                await self._send(await self._tasks.make_notification(task, self._meta))
                self._schedule_give_up(task)

    def _schedule_give_up(self, task: TaskView) -> None:
        """Send `task` again when it is given up: no change is logged then."""
        later = self._give_up_timers.pop(task.id, None)
        if later is not None:
            later.cancel()
        left = self._tasks.compute_give_up_delay(task)
        if left:
            loop = asyncio.get_running_loop()
            self._give_up_timers[task.id] = loop.call_later(
                left, self._send_again, task.id
            )

    def _send_again(self, task_id: str) -> None:
        self._revs.pop(task_id, None)
        self._watcher.repeat(task_id)

    async def _send(self, notification: Any) -> None:
        await self._ctx.session.send_notification(
            notification, related_request_id=self._ctx.request_id
        )


def _parse_task_ids(filter_: SubscriptionFilter) -> list[str]:
    ids: object = (filter_.model_extra or {}).get("taskIds") or []
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):  # pyright: ignore[reportUnknownVariableType]
        raise MCPError(INVALID_PARAMS, "taskIds must be a list of task ids")
    return [str(one) for one in ids]  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _make_acknowledgement(
    filter_: SubscriptionFilter, uris: list[str], ids: list[str], meta: dict[str, Any]
) -> SubscriptionsAcknowledgedNotification:
    honored = SubscriptionFilter(
        tools_list_changed=filter_.tools_list_changed or None,
        prompts_list_changed=filter_.prompts_list_changed or None,
        resources_list_changed=filter_.resources_list_changed or None,
        resource_subscriptions=uris or None,
        **({"taskIds": ids} if ids else {}),
    )
    return SubscriptionsAcknowledgedNotification(
        params=SubscriptionsAcknowledgedNotificationParams(
            notifications=honored, _meta=meta
        )
    )
