"""The tool `wait_for_changes`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_server.api.context import ServerContext
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.changes import ChangesAnswer
from herald_server.mcp.parameters import add_read_tool
from herald_server.mcp.tools.wait import MAX_WAIT_S
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
                description="Which tasks: keys ids, name, state, worker, queue, root, "
                "parent, group, tag with a text or a list of texts; * and ? are wild "
                'in name, worker and queue. Such as {"name": "reports.*", "state": '
                '["FAILURE", "LOST"]}; leave out for all'
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
        ] = 50,
    ) -> ChangesAnswer:
        """Wait until tasks that match a filter change, and tell which.

        The first call answers at once with a snapshot and a cursor. Give the cursor
        to each following call: it answers with all that changed since, the moment
        there is something, and nothing is missed between two calls.
        """
        with convert_to_tool_error():
            require_scope("read", "wait_for_changes")
            asking = ChangePoll(self._hub, self._library, self._closing)
            polled = await asking(filter or {}, cursor, newest, timeout_s)
        return _make_changes(polled)


def _make_changes(polled: PolledChanges) -> ChangesAnswer:
    if polled.done:
        message = "All tasks that were asked for have ended."
    elif polled.has_changes:
        message = "Call wait_for_changes again with this cursor for what comes next."
    else:
        message = "Nothing changed. Call again with this cursor; nothing is missed."
    fields = {"put": list(polled.put.values()), "del": list(polled.gone)}
    more = {"cursor": polled.cursor, "reset": polled.reset, "done": polled.done}
    return ChangesAnswer.model_validate({**fields, **more, "message": message})
