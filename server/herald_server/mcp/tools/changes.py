"""The tool `wait_for_changes`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_server.api.context import ServerContext
from herald_server.mcp.answers.pages import DEFAULT_ROWS
from herald_server.mcp.answers.short import SHORT, DetailLevel, shorten_task
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.input_schemas import FILTER
from herald_server.mcp.models.changes import ChangesAnswer
from herald_server.mcp.parameters import Detail, add_read_tool
from herald_server.mcp.profiles.profile import MAX_WAIT_S
from herald_server.mcp.tools.wait import limit_wait
from herald_server.push.session.poll import MAX_CHANGES, ChangePoll, PolledChanges
from herald_server.push.session.snapshots import SnapshotReader


class ChangeTools:
    """The tool `wait_for_changes`."""

    def __init__(self, shared: ServerContext) -> None:
        self._hub = shared.hub
        self._library = SnapshotReader(shared.store, shared.hub, shared.log_reader)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let all waiting calls return now."""
        self._closing.set()

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.wait_for_changes, "Wait for changes")

    async def wait_for_changes(
        self,
        filter: Annotated[
            dict[str, Any] | None,
            Field(
                json_schema_extra=FILTER,
                description="Which tasks: keys ids, name, state, worker, queue, root, "
                "parent, group, tag with a text or a list of texts; * and ? are wild "
                'in name, worker and queue. Such as {"name": "reports.*", "state": '
                '["FAILURE", "LOST"]}; leave out for all',
            ),
        ] = None,
        cursor: Annotated[
            str | None,
            Field(description="`cursor` of the call before; leave out to begin"),
        ] = None,
        timeout_s: Annotated[
            float,
            Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait at most; up to 45"),
        ] = MAX_WAIT_S,
        newest: Annotated[
            int,
            Field(
                ge=0,
                le=MAX_CHANGES,
                description="How many matching tasks a snapshot holds, the newest; up "
                "to 500",
            ),
        ] = DEFAULT_ROWS,
        limit: Annotated[
            int,
            Field(
                ge=1,
                le=MAX_CHANGES,
                description="How many changed tasks are told at once, up to 500; the "
                "others follow with the next cursor",
            ),
        ] = DEFAULT_ROWS,
        detail: Detail = SHORT,
    ) -> ChangesAnswer:
        """Wait until tasks that match a filter change, and tell which.

        The first call answers at once with the newest tasks and a cursor. Give the
        cursor to each following call: it answers with what changed since, the moment
        there is something. Nothing is missed between two calls, however much changed.
        """
        with convert_to_tool_error():
            require_scope("read", "wait_for_changes")
            asking = ChangePoll(self._hub, self._library, self._closing)
            polled = await asking(
                *(filter or {}, cursor, newest),
                limit_wait(timeout_s),
                limit,
            )
        return _make_changes(polled, detail, limit)


def _make_changes(
    polled: PolledChanges, detail: DetailLevel, limit: int
) -> ChangesAnswer:
    put, gone = list(polled.put.values()), list(polled.gone)
    if polled.reset:
        # What changed while the snapshot was read may come on top of its tasks.
        gone = gone[:limit]
    if detail == SHORT:
        put = [shorten_task(one) for one in put]
    return ChangesAnswer.model_validate(
        {
            "changed": len(put) + len(gone),
            "more": polled.more,
            **{"put": put, "del": gone, "cursor": polled.cursor},
            **{"reset": polled.reset, "done": polled.done},
            "message": _describe(polled),
        }
    )


def _describe(polled: PolledChanges) -> str:
    if polled.done:
        return "All tasks that were asked for have ended."
    if polled.more:
        count = f"{polled.more:,}" if polled.is_counted else f"At least {polled.more:,}"
        return (
            f"{count} more changed: call wait_for_changes again with this cursor, or "
            "list_tasks for how they are now."
        )
    if polled.has_changes:
        return "Call wait_for_changes again with this cursor for what comes next."
    return "Nothing changed. Call again with this cursor; nothing is missed."
