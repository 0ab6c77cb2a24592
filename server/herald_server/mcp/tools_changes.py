"""The tool that tells what changed since a cursor."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_server.changes import MOST, Asking, Gathered
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.answers_more import Changes
from herald_server.mcp.arguments import add_reading
from herald_server.mcp.wait import CAP
from herald_server.reading import Library
from herald_server.state import Shared


class Watching:
    """The tool `wait_for_changes`."""

    def __init__(self, shared: Shared) -> None:
        self._hub = shared.hub
        self._library = Library(shared.store, shared.hub, shared.feed)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let all calls answer now."""
        self._closing.set()

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_reading(mcp, self.wait_for_changes, "Wait for changes")

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
            float, Field(ge=0, le=CAP, description="Seconds to wait at most; up to 45")
        ] = CAP,
        newest: Annotated[
            int,
            Field(
                ge=0,
                le=MOST,
                description="How many matching tasks a snapshot holds, the newest; up "
                "to 500",
            ),
        ] = 50,
    ) -> Changes:
        """Wait until tasks that match a filter change, and tell which.

        The first call answers at once with a snapshot and a cursor. Give the cursor
        to each following call: it answers with all that changed since, the moment
        there is something, and nothing is missed between two calls.
        """
        with refusing():
            demand("read", "wait_for_changes")
            asking = Asking(self._hub, self._library, self._closing)
            told = await asking(filter or {}, cursor, newest, timeout_s)
        return _shown(told)


def _shown(told: Gathered) -> Changes:
    if told.done:
        message = "All tasks that were asked for have ended."
    elif told.news:
        message = "Call wait_for_changes again with this cursor for what comes next."
    else:
        message = "Nothing changed. Call again with this cursor; nothing is missed."
    fields = {"put": list(told.put.values()), "del": list(told.gone)}
    more = {"cursor": told.cursor, "reset": told.reset, "done": told.done}
    return Changes.model_validate({**fields, **more, "message": message})
